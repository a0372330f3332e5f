"""The pose estimator around RTMPose with everything on the device: images and boxes in, keypoints out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from models.device import simcc
from models.device.atlas import AnyImage
from models.device.people import find_keypoints, mirror_order
from models.serving import COCO_KEYPOINTS
from models.tasks import Float

if TYPE_CHECKING:
    from models.backends.device_runner import DeviceRunner


@dataclass(frozen=True)
class RTMPoseOnDevice:
    """Serves `models.tasks.PoseEstimator` with an RTMPose; finds what `models.pose.rtmpose_task` does.

    Attributes:
        run: the compiled network; its two outputs are as `RTMPose.forward` describes them.
        size: height and width of its input, pixels.
        padding: how many times the box's width or height a crop shows.
        max_batch: persons per call of the network.
        flip_test: whether everybody is looked at twice, once mirrored.
    """

    takes_device_images: ClassVar[bool] = True

    run: DeviceRunner
    size: tuple[int, int] = (256, 192)
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
        x, y = self._bins(pixels)
        if self.flip_test:
            mirrored_x, mirrored_y = (axis[:, self._mirrored] for axis in self._bins(pixels.flip(2)))
            x, y = (x + mirrored_x.flip(2)) / 2, (y + mirrored_y) / 2
        return simcc.decode(x, y)

    def _bins(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(axis[:, :COCO_KEYPOINTS] for axis in self.run.tensors(pixels))

    @cached_property
    def _mirrored(self) -> Tensor:
        return mirror_order(self.run.torch_device)
