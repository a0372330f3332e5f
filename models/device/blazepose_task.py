"""The segmenter around BlazePose with everything on the device: images, boxes and keypoints in, masks out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from models.device.atlas import AnyImage, Atlas
from models.device.crops import Numbers, cut_regions
from models.device.paste import Masks, bitmap, mean_probability, paste, run_lengths
from models.device.transfer import download
from models.segment import roi
from models.tasks import Bool, Float, Window

if TYPE_CHECKING:
    from models.backends.device_runner import DeviceRunner

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlazePoseOnDevice:
    """Serves `models.tasks.Segmenter` with a BlazePose; makes what `models.segment.blazepose_task` does.

    Attributes:
        run: the compiled network; its output is as `BlazePose.forward` describes it.
        size: height and width of its input, pixels; a square.
        max_batch: persons per call of the network.
    """

    takes_device_images: ClassVar[bool] = True

    run: DeviceRunner
    size: tuple[int, int] = (256, 256)
    max_batch: int = 32

    @torch.inference_mode()
    def __call__(
        self, images: Sequence[AnyImage], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images` of any sizes; all go through the network together.

        The host waits once, for run lengths and scores; and again, rarely, where masks are too ragged for their room.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image float32 [N, 17, 3], COCO order, in its pixels; score 0 = not estimated.

        Returns:
            Of each image N windows; None for a person without a region, because no pixel of the image lies in the box.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        people = _People.of(images, boxes, keypoints, self.size[0])
        if missing := sum(map(len, boxes)) - len(people.owners):
            _log.debug("no region for the masks of %d people", missing)
        if not len(people.owners):
            return found
        seen, owners = np.unique(people.owners, return_inverse=True)
        atlas = Atlas.of([images[number] for number in seen], self.run.torch_device)
        scores, masks = self._look(atlas, owners, people)
        bitmaps, sure = _on_host(masks, scores)
        for owner, row, window, mask, score in zip(
            people.owners.tolist(), people.rows.tolist(), people.windows.tolist(), bitmaps, sure.tolist(), strict=True
        ):
            found[owner][row] = Window(mask, (window[0], window[1]), score)
        return found

    def _look(self, atlas: Atlas, owners: Numbers, people: _People) -> tuple[Tensor, list[Masks]]:
        """Scores [N], and the masks, of everybody."""
        scores: list[Tensor] = []
        masks: list[Masks] = []
        for first in range(0, len(owners), self.max_batch):
            some = slice(first, first + self.max_batch)
            crops = cut_regions(atlas, owners[some], people.regions[some], self.size[0])
            logits = self.run.tensors(crops)[0][:, 0]
            scores.append(mean_probability(logits))
            masks += paste(logits, people.regions[some], people.windows[some])
        return torch.cat(scores), masks


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Who has a mask, N in all.

    Attributes:
        owners: int64 [N], numbers of their images. rows: int64 [N], their numbers in these.
        regions: float64 [N, 2, 3]. windows: int64 [N, 4].
    """

    owners: Numbers
    rows: Numbers
    regions: roi.Double
    windows: Numbers

    @staticmethod
    def of(images: Sequence[AnyImage], boxes: Sequence[Float], keypoints: Sequence[Float], size: int) -> _People:
        owners, rows, regions, windows = [], [], [np.zeros((0, 2, 3))], [np.zeros((0, 4), np.int64)]
        for number, (image, own, points) in enumerate(zip(images, boxes, keypoints, strict=True)):
            height, width = image.shape[:2]
            region, window = roi.regions(own, points, size), roi.windows(own, width, height)
            usable = np.isfinite(region).all((1, 2)) & (window[:, 2:] > window[:, :2]).all(1)
            owners += [number] * int(usable.sum())
            rows += np.flatnonzero(usable).tolist()
            regions.append(region[usable])
            windows.append(window[usable])
        return _People(
            np.array(owners, np.int64), np.array(rows, np.int64), np.concatenate(regions), np.concatenate(windows)
        )


def _on_host(masks: Sequence[Masks], scores: Tensor) -> tuple[list[Bool], Float]:
    """The bitmaps of all `masks`, and the scores."""
    edges = [tensor for some in masks for tensor in some.edges(some.room())]
    sure, *arrays = download(scores, *edges)
    bitmaps = []
    for some, pixels, totals in zip(masks, arrays[::2], arrays[1::2], strict=True):
        if totals[-1] > len(pixels):
            _log.debug("%d edges of masks, more than the expected %d: copied again", totals[-1], len(pixels))
            (pixels,) = download(some.edges(int(totals[-1]))[0])
        ends = some.sizes.prod(axis=1).cumsum()
        own = np.split(pixels[: totals[-1]].astype(np.int64), totals[:-1])
        for edge, end, size in zip(own, ends.tolist(), some.sizes.tolist(), strict=True):
            height, width = size
            bitmaps.append(bitmap(run_lengths(edge, end - height * width, end), (height, width)))
    return bitmaps, sure
