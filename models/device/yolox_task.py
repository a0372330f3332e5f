"""The detector around YOLOX with everything on the device: images in, the boxes of the persons in them out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from models.detect.grid import STRIDES, grid
from models.device import nms
from models.device.atlas import AnyImage, Atlas
from models.device.letterbox import letterbox
from models.device.transfer import download, upload
from models.tasks import Boxes

if TYPE_CHECKING:
    from models.backends.device_runner import DeviceRunner

log = logging.getLogger(__name__)

_LARGEST = 10.0
"""Bound of the logarithm of a size in cells: larger than any image, and its exponential is finite."""


@dataclass(frozen=True)
class YOLOXOnDevice:
    """Serves `models.tasks.Detector` with a YOLOX; finds what `models.detect.yolox_task` does.

    Of each image the 1000 best candidates take part; if there were more, and fewer than `max_people` persons among
    these, it may miss some of the least certain.

    Attributes:
        run: the compiled network; its only output is as `YOLOX.forward` describes it.
        size: height and width of its input, pixels; multiples of 32.
        score: the lowest score, sigmoid(person) x sigmoid(objectness), that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
    """

    takes_device_images: ClassVar[bool] = True

    run: DeviceRunner
    size: tuple[int, int]
    score: float = 0.1
    nms_iou: float = 0.65
    max_people: int = 100

    @torch.inference_mode()
    def __call__(self, images: Sequence[AnyImage]) -> list[Boxes]:
        """The persons in each of `images` of any sizes, through the network as one batch.

        The host waits once, for the boxes and scores of `max_people` places per image; and again, rarely, where
        `models.device.nms.suppress` has not come to its end.
        """
        if not images:
            return []
        device = self.run.torch_device
        atlas = Atlas.of(images, device)
        pixels, scales = letterbox(atlas, self.size)
        (raw,) = self.run.tensors(pixels)
        found = nms.candidates(raw[..., 4].sigmoid() * raw[..., 5].sigmoid(), self.score)
        xyxy = self._decode(raw, found.rows) / upload(np.array(scales, np.float32), device)[:, None, None]
        sizes = upload(np.array(atlas.sizes, np.float32), device)
        valid, too_near = found.scores > 0, nms.suppressing(xyxy, self.nms_iou)
        kept, settled = nms.suppress(valid, too_near)
        while True:
            people = nms.best_people(xyxy, found.scores, kept, sizes, self.max_people)
            boxes, scores, counts, final = download(*people, found.total, settled)
            if final.all():
                break
            log.debug("candidates overlap in long chains: suppressing goes on")
            kept, settled = nms.suppress(valid, too_near, kept)
        if (counts > nms.CANDIDATES).any():
            log.debug("%d candidates in one image: the best %d took part", counts.max(), nms.CANDIDATES)
        there = (scores > 0).sum(axis=1)
        return [Boxes(of_image[:count], own[:count]) for of_image, own, count in zip(boxes, scores, there, strict=True)]

    def _decode(self, raw: Tensor, rows: Tensor) -> Tensor:
        """The boxes, [B, K, 4] in pixels of the network's input, that anchors `rows` of [B, A, 5 + C] predict."""
        cells, strides = self._grid
        centre, size = raw[..., :4].gather(1, rows[..., None].expand(-1, -1, 4)).chunk(2, dim=2)
        stride = strides[rows]
        middle = (centre + cells[rows]) * stride
        half = size.clamp(max=_LARGEST).exp() * stride / 2
        return torch.cat([middle - half, middle + half], dim=2)

    @cached_property
    def _grid(self) -> tuple[Tensor, Tensor]:
        cells, strides = grid(self.size, STRIDES)
        return upload(cells, self.run.torch_device), upload(strides, self.run.torch_device)
