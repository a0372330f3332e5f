"""Hourglass-52 of CornerNet (Law and Deng, 2018) with one stack and OpenMMLab's field names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from models.loading import load_state
from models.pose.published import hourglass52_names
from models.residual import BasicBlock, Foldable

CHANNELS = (256, 256, 384, 384, 384, 512)
"""Of the features at each depth of the hourglass; each has half the resolution of the one before."""

BLOCKS = (2, 2, 2, 2, 2, 4)
"""Residual blocks at each depth."""


class ConvNormReLU(Foldable):
    """A convolution that keeps the size (divided by the stride), batch-norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.normed = {"conv": "bn"}

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out: Tensor = self.relu(self.bn(self.conv(x)))
        return out


class HourglassModule(nn.Module):
    """One depth of the hourglass: a way past it, `up1`, and through half the resolution, `low1`, `low2`, `low3`."""

    def __init__(self, channels: tuple[int, ...], blocks: tuple[int, ...]) -> None:
        super().__init__()
        here, below = channels[:2]
        self.up1 = _blocks(here, here, blocks[0])
        self.low1 = _blocks(here, below, blocks[0], stride=2)
        deeper = len(channels) > 2
        self.low2 = HourglassModule(channels[1:], blocks[1:]) if deeper else _blocks(below, below, blocks[1])
        self.low3 = _blocks(below, here, blocks[0], change_last=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels[0], H, W] -> the same shape; H and W multiples of 2 ^ depth."""
        out: Tensor = self.up1(x) + F.interpolate(self.low3(self.low2(self.low1(x))), scale_factor=2.0)
        return out


class Hourglass52(nn.Module):
    """The network.

    Args:
        keypoints: how many heat maps.
    """

    def __init__(self, keypoints: int = 17) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNormReLU(3, 128, 7, 2), _blocks(128, CHANNELS[0], 1, stride=2))
        self.hourglass_modules = nn.ModuleList([HourglassModule(CHANNELS, BLOCKS)])
        self.out_convs = nn.ModuleList([ConvNormReLU(CHANNELS[0], 256, 3)])
        self.multi_final_layers = nn.ModuleList([nn.Conv2d(256, keypoints, 1)])

    def forward(self, images: Tensor) -> Tensor:
        """Where each keypoint is.

        Args:
            images: float [B, 3, H, W], H and W multiples of 128, normalised as the weights want it.

        Returns:
            Heat maps [B, K, H / 4, W / 4], about 1 at the keypoint.
        """
        x = self.out_convs[0](self.hourglass_modules[0](self.stem(images)))
        out: Tensor = self.multi_final_layers[0](x)
        return out

    def load(self, state: Mapping[str, Tensor]) -> Self:
        """Take the weights of OpenMMLab's checkpoint; returns the network itself.

        Raises:
            CheckpointError: `state` is not that of this network.
        """
        load_state(self, hourglass52_names(state))
        return self


def _blocks(inputs: int, outputs: int, count: int, stride: int = 1, *, change_last: bool = False) -> nn.Sequential:
    """`count` blocks, of which the first (or the last) changes the number of channels and the resolution."""
    changing = count - 1 if change_last else 0
    widths = [inputs if i <= changing else outputs for i in range(count)] + [outputs]
    return nn.Sequential(*(BasicBlock(widths[i], widths[i + 1], stride if i == changing else 1) for i in range(count)))
