"""One batch of frames to the people in them: boxes, then keypoints, then masks where they were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeAlias

import numpy as np

from models.tasks import Boxes, Detector, PoseEstimator, Segmenter, Window
from stream.types import KEYPOINTS, Bool, Float, Image, Mask, People, Polygon

EncodeMask: TypeAlias = Callable[[Bool, tuple[int, int]], Mask | Polygon]
"""Encodes a window, bool [h, w], whose top-left pixel lies at (x, y) of the frame."""


class Stopwatch(Protocol):
    """Takes the time of a `with` block under a name."""

    def timed(self, series: str) -> AbstractContextManager[None]: ...


class _NoStopwatch:
    def timed(self, series: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class Perception:
    """Runs the networks over a batch; people of all frames share their batches.

    Without a pose network the keypoints are the detector's own, where it finds any; and so are the masks.
    """

    def __init__(
        self,
        detector: Detector,
        pose: PoseEstimator | None = None,
        segmenter: Segmenter | None = None,
        stopwatch: Stopwatch | None = None,
        encode: EncodeMask = Mask.encode,
    ) -> None:
        self._detector = detector
        self._pose = pose
        self._segmenter = segmenter
        self._stopwatch = stopwatch or _NoStopwatch()
        self._encode = encode

    def __call__(self, images: Sequence[Image], masks: Sequence[bool]) -> list[People]:
        """The people of each image, best score first, without ids.

        Args:
            images: uint8 [H, W, 3] BGR, each of its own size.
            masks: for each image, whether masks are wanted.
        """
        with self._stopwatch.timed("detect"):
            found = self._detector(images)
        with self._stopwatch.timed("pose"):
            keypoints = self._keypoints(images, found)
        with self._stopwatch.timed("masks"):
            windows = self._masks(images, found, keypoints, masks)
        return [
            People.untracked(found_.xyxy, found_.scores, keypoints_, masks_, frame_size=image.shape[:2])
            for image, found_, keypoints_, masks_ in zip(images, found, keypoints, windows, strict=True)
        ]

    def _keypoints(self, images: Sequence[Image], found: Sequence[Boxes]) -> list[Float]:
        if self._pose is not None:
            return self._pose(images, [of_image.xyxy for of_image in found])
        none = np.zeros((len(KEYPOINTS), 3), np.float32)
        return [
            np.tile(none, (len(of_image.xyxy), 1, 1)) if of_image.keypoints is None else of_image.keypoints
            for of_image in found
        ]

    def _masks(
        self, images: Sequence[Image], found: Sequence[Boxes], keypoints: Sequence[Float], wanted: Sequence[bool]
    ) -> list[tuple[Mask | Polygon | None, ...]]:
        chosen = [i for i, want in enumerate(wanted) if want]
        masks: list[tuple[Mask | Polygon | None, ...]] = [()] * len(images)
        windows: list[list[Window | None]]
        if not chosen:
            return masks
        if self._segmenter is None:
            windows = [own() if (own := found[i].masks) else [] for i in chosen]
        else:
            windows = self._segmenter(
                [images[i] for i in chosen], [found[i].xyxy for i in chosen], [keypoints[i] for i in chosen]
            )
        for i, of_image in zip(chosen, windows, strict=True):
            masks[i] = tuple(
                None if window is None else self._encode(window.bitmap, window.origin) for window in of_image
            )
        return masks
