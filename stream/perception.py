"""One batch of frames to the people in them: boxes, then keypoints, then masks where they were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

import numpy as np

from models.coco import AREA_OF_BOX
from models.pose.oks import oks_nms, rescored
from models.tasks import Boxes, Detector, PoseEstimator, Segmenter, Window
from stream.types import KEYPOINTS, AnyImage, Bool, Float, Mask, People, Polygon

EncodeMask: TypeAlias = Callable[[Bool, tuple[int, int]], Mask | Polygon]
"""Encodes a window, bool [h, w], whose top-left pixel lies at (x, y) of the frame."""

Masks: TypeAlias = tuple[Mask | Polygon | None, ...]
"""Of the people of one image; None for somebody who has none."""


class Stopwatch(Protocol):
    """Takes the time of a `with` block under a name."""

    def timed(self, series: str) -> AbstractContextManager[None]: ...


class _NoStopwatch:
    def timed(self, series: str) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()


class Perception:
    """The networks, and how they share their batches: people of all frames go through each of them together.

    Without a pose network the keypoints are the detector's own, where it finds any; and so are the masks.

    Args:
        stopwatch: takes the time of every stage. encode: makes the masks that are sent.
        same_pose: of two people of one image whose keypoints are more alike (OKS), the less certain one goes.

    Attributes:
        has_pose: whether there is a pose network. has_masks: whether there is a mask network.
        masks_together: whether it looks at the whole image, at a price that hardly depends on how many are in it.
    """

    def __init__(
        self,
        detector: Detector,
        pose: PoseEstimator | None = None,
        segmenter: Segmenter | None = None,
        stopwatch: Stopwatch | None = None,
        encode: EncodeMask = Mask.encode,
        same_pose: float = 1.0,
        masks_together: bool = False,
    ) -> None:
        self._detector = detector
        self._pose = pose
        self._segmenter = segmenter
        self._stopwatch = stopwatch or _NoStopwatch()
        self._encode = encode
        self._same_pose = same_pose
        self.has_pose = pose is not None
        self.has_masks = segmenter is not None
        self.masks_together = masks_together

    def __call__(self, images: Sequence[AnyImage], masks: Sequence[bool]) -> list[People]:
        """The people of each image, best score first, without ids.

        Args:
            images: uint8 [H, W, 3] BGR, each of its own size, or pictures on a GPU.
            masks: for each image, whether masks are wanted.
        """
        people = self.detect(images)
        distinct = [self.distinct(*of) for of in zip(people, self.keypoints(images, people), strict=True)]
        found, keypoints = [boxes for boxes, _ in distinct], [points for _, points in distinct]
        made = iter(self._masks_where(masks, images, found, keypoints))
        return [
            People.untracked(
                of_image.xyxy, of_image.scores, points, next(made) if wanted else (), frame_size=_size(image)
            )
            for image, of_image, points, wanted in zip(images, found, keypoints, masks, strict=True)
        ]

    def detect(self, images: Sequence[AnyImage]) -> list[Boxes]:
        """The people of each image, and whatever else the detector finds of them."""
        with self._stopwatch.timed("detect"):
            return self._detector(_given_to(self._detector, images))

    def keypoints(self, images: Sequence[AnyImage], people: Sequence[Boxes]) -> list[Float]:
        """Keypoints of `people`, per image float32 [N, 17, 3]: the pose network's, else the detector's, else zeros."""
        with self._stopwatch.timed("pose"):
            if self._pose is not None:
                return self._pose(_given_to(self._pose, images), [of_image.xyxy for of_image in people])
            return [
                np.zeros((len(of_image.xyxy), len(KEYPOINTS), 3), np.float32)
                if of_image.keypoints is None
                else of_image.keypoints
                for of_image in people
            ]

    def distinct(self, found: Boxes, keypoints: Float) -> tuple[Boxes, Float]:
        """The people found in one image and their keypoints, nobody twice.

        Non-maximum suppression by keypoints (Papandreou et al., 2017), of scores that count the keypoints' too.
        """
        if self._same_pose >= 1:
            return found, keypoints
        size = found.xyxy[:, 2:] - found.xyxy[:, :2]
        areas = AREA_OF_BOX * size[:, 0] * size[:, 1]
        kept = oks_nms(keypoints, rescored(found.scores, keypoints), areas, self._same_pose)
        return replace(found.only(kept), keypoints=keypoints[kept]), keypoints[kept]

    def masks(self, images: Sequence[AnyImage], boxes: Sequence[Float], keypoints: Sequence[Float]) -> list[Masks]:
        """The mask network's masks of the people in `boxes` (per image float32 [N, 4]) with these keypoints."""
        if self._segmenter is None or not images:
            return [() for _ in images]
        with self._stopwatch.timed("masks"):
            given = _given_to(self._segmenter, images)
            return [self._encoded(windows) for windows in self._segmenter(given, boxes, keypoints)]

    def own_masks(self, found: Boxes) -> Masks:
        """Masks that the detector itself has found; none where a mask network makes them."""
        if self.has_masks or found.masks is None:
            return ()
        with self._stopwatch.timed("masks"):
            return self._encoded(found.masks())

    def _masks_where(
        self, wanted: Sequence[bool], images: Sequence[AnyImage], found: Sequence[Boxes], keypoints: Sequence[Float]
    ) -> list[Masks]:
        """Of the images where they are wanted."""
        chosen = [number for number, want in enumerate(wanted) if want]
        if not self.has_masks:
            return [self.own_masks(found[number]) for number in chosen]
        return self.masks(
            [images[number] for number in chosen],
            [found[number].xyxy for number in chosen],
            [keypoints[number] for number in chosen],
        )

    def _encoded(self, windows: Sequence[Window | None]) -> Masks:
        return tuple(None if window is None else self._encode(window.bitmap, window.origin) for window in windows)


def _size(image: AnyImage) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _given_to(task: object, images: Sequence[AnyImage]) -> Sequence[Any]:
    """`images` as a task takes them: a GPU's as they are where it says that it works there, else fetched from it."""
    if getattr(task, "takes_device_images", False):
        return images
    return [np.asarray(image) for image in images]
