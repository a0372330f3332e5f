"""The pose estimator of heat-map networks with everything on the device: images and boxes in, keypoints out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from models.device import heatmaps
from models.device.atlas import AnyImage
from models.device.people import find_keypoints, mirror_order
from models.device.transfer import upload
from models.pose.skeletons import COCO, Skeleton
from models.tasks import Float

if TYPE_CHECKING:
    from models.backends.device_runner import DeviceRunner


@dataclass(frozen=True)
class HeatmapOnDevice:
    """Serves `models.tasks.PoseEstimator` with a heat-map network; finds what `models.pose.heatmap_task` does.

    What a network says of distances is not used.

    Attributes:
        run: the compiled network; its outputs are as `SimpleBaseline.forward` describes them.
        size: height and width of its input, pixels.
        skeleton: its keypoints.
        middle: pixels from the first one that a cell of a heat map covers to the one that it stands for.
        padding: how many times the box's width or height a crop shows.
        max_batch: persons per call of the network.
        flip_test: whether everybody is looked at twice, once mirrored.
    """

    takes_device_images: ClassVar[bool] = True

    run: DeviceRunner
    size: tuple[int, int] = (256, 192)
    skeleton: Skeleton = COCO
    middle: float = 0.0
    padding: float = 1.25
    max_batch: int = 32
    flip_test: bool = False

    @torch.inference_mode()
    def __call__(self, images: Sequence[AnyImage], boxes: Sequence[Float]) -> list[Float]:
        """Keypoints of everybody in `images` of any sizes; all go through the network together.

        The host waits once, for 17 places and scores per person.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.

        Returns:
            Of each image float32 [N, 17, 3]: x and y in its pixels, and a score 0..1, 0 where not found.
        """
        return find_keypoints(
            images,
            boxes,
            self._look,
            self.run.torch_device,
            size=self.size,
            padding=self.padding,
            max_batch=self.max_batch,
        )

    def _look(self, pixels: Tensor) -> Tensor:
        maps = self._maps(pixels)
        if self.flip_test:
            mirrored = self._maps(pixels.flip(2))[:, self._mirrored]
            maps = (maps + (mirrored if self.middle else heatmaps.shifted(mirrored)).flip(3)) / 2
        found = heatmaps.decode(maps)
        found[..., :2] = found[..., :2] * (self.size[1] // maps.shape[3]) + self.middle
        return found

    def _maps(self, pixels: Tensor) -> Tensor:
        """Of COCO's keypoints, [N, 17, h, w]; zeros for one that the network does not know."""
        maps = self.run.tensors(pixels)[0]
        rows, known = self._rows
        return maps[:, rows] * known[:, None, None]

    @cached_property
    def _rows(self) -> tuple[Tensor, Tensor]:
        """Of COCO's keypoints the network's numbers, and 1 for those it has."""
        rows = np.array([here or 0 for here in self.skeleton.coco])
        known = np.array([here is not None for here in self.skeleton.coco], np.float32)
        return upload(rows, self.run.torch_device), upload(known, self.run.torch_device)

    @cached_property
    def _mirrored(self) -> Tensor:
        return mirror_order(self.run.torch_device)
