"""PersonLab (Papandreou et al., 2018) on ResNet-v2-152, as PosePlusSeg and MultiPoseSeg (2022) train it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.joint.resnet_v2 import UNITS_152, BatchNormMode, ResNetV2
from models.tasks import PixelFormat

KEYPOINTS = 17
EDGES = (
    (0, 14), (0, 13), (0, 4), (0, 1), (14, 16), (13, 15), (4, 10), (1, 7),
    (10, 11), (7, 8), (11, 12), (8, 9), (4, 5), (1, 2), (5, 6), (2, 3),
)  # fmt: skip
"""The tree over the keypoints, in PersonLab's order of them. The offsets of all the edges come first in this direction,
then once more in the other."""

TO_COCO = (0, 14, 13, 16, 15, 4, 1, 5, 2, 6, 3, 10, 7, 11, 8, 12, 9)
"""Of each of COCO's keypoints its number in PersonLab's order."""

_TRUNK_WIDTH = 2048
_LEAVES = {
    "weights": "weight",
    "gamma": "weight",
    "biases": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_SLOTS = re.compile(r"(^|/)(Adam|Adam_1|Momentum|ExponentialMovingAverage|beta\d_power|global_step)$")
"""What an optimizer keeps beside the weights."""


class PersonLab(nn.Module):
    """The whole network.

    Its maps are at the output stride. The original resizes them bilinearly to the image before it refines and decodes
    them. Since cells lie on pixels, a bilinear sample of the resized map is the same as one of the map itself, so that
    what follows samples these and the large ones are never made.

    Args:
        output_stride: pixels of the image per cell, 8 or 16.
        mode: of the batch-norm; "batch" is what the published code runs.
        units: per block of the trunk; the published network has 152 layers.
        width: of the trunk's first block.
        features: channels that the heads read.
    """

    pixels: ClassVar = PixelFormat(rgb=False, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))

    def __init__(
        self,
        output_stride: int = 16,
        mode: BatchNormMode = "batch",
        units: Sequence[int] = UNITS_152,
        width: int = 64,
        features: int = _TRUNK_WIDTH,
    ) -> None:
        super().__init__()
        self.trunk = ResNetV2(units, features, output_stride, mode, width)
        self.kp_maps = nn.Conv2d(features, KEYPOINTS, 1)
        self.short_offsets = nn.Conv2d(features, 2 * KEYPOINTS, 1)
        self.mid_offsets = nn.Conv2d(features, 4 * len(EDGES), 1)
        self.long_offsets = nn.Conv2d(features, 2 * KEYPOINTS, 1)
        self.seg_mask = nn.Conv2d(features, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Five maps of h = (H - 1) / output stride + 1 rows.

        Args:
            images: float [B, 3, H, W], BGR, 0..1; H - 1 and W - 1 multiples of the output stride.

        Returns:
            Probability that a keypoint is within 32 pixels [B, 17, h, w]; short offsets, to that keypoint, x and y in
            pixels of the image [B, 34, h, w]; mid offsets, for every edge in both directions from the one keypoint's
            disc to the other keypoint [B, 64, h, w]; long offsets, from a person's pixels to the person's keypoints
            [B, 34, h, w]; probability of a person [B, 1, h, w].
        """
        x = self.trunk(images)
        return (
            self.kp_maps(x).sigmoid(),
            self.short_offsets(x),
            self.mid_offsets(x),
            self.long_offsets(x),
            self.seg_mask(x).sigmoid(),
        )


def from_slim(tensors: Mapping[str, npt.NDArray[Any]]) -> dict[str, Tensor]:
    """The tensors of a TF-slim checkpoint under our names and in PyTorch's layout; without those of an optimizer."""
    state = {}
    for name, array in tensors.items():
        if _SLOTS.search(name):
            continue
        path = re.sub(r"^resnet_v2_\d+/", "trunk/", name).replace("bottleneck_v2/", "")
        path = re.sub(r"conv([12])/BatchNorm/", r"norm\1/", path)
        *modules, leaf = path.split("/")
        values = np.array(array, np.float32)
        if values.ndim == 4:
            values = np.ascontiguousarray(
                values.transpose(3, 2, 0, 1)
            )  # height, width, in, out -> out, in, height, width
        state[".".join([*modules, _LEAVES.get(leaf, leaf)])] = torch.from_numpy(values)
    return state
