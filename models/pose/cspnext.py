"""RTMPose's backbone, CSPNeXt (Lyu et al., "RTMDet", 2022), with OpenMMLab's field names."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from models.layers import ConvModule, CSPLayer, DepthwiseSeparableConvModule, SPPBottleneck

NORM = partial(nn.BatchNorm2d, eps=1e-5)


class Scale(NamedTuple):
    """The size of a network: multipliers of the blocks per stage and of the channels."""

    depth: float
    width: float


class CSPNeXtBlock(nn.Module):
    """A 3x3 and a depthwise separable 5x5 convolution, with or without a shortcut around both."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvModule(channels, channels, 3, NORM)
        self.conv2 = DepthwiseSeparableConvModule(channels, channels, 5, NORM)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.shortcut else out


class CSPNeXt(nn.Module):
    """A stem and four stages, each of which halves the resolution."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c64, c128, c256, c512, c1024 = (int(full * scale.width) for full in (64, 128, 256, 512, 1024))
        few, many = (max(round(full * scale.depth), 1) for full in (3, 6))
        self.stem = nn.Sequential(
            ConvModule(3, c64 // 2, 3, NORM, stride=2),
            ConvModule(c64 // 2, c64 // 2, 3, NORM),
            ConvModule(c64 // 2, c64, 3, NORM),
        )
        self.stage1 = nn.Sequential(_down(c64, c128), _csp(c128, few, shortcut=True))
        self.stage2 = nn.Sequential(_down(c128, c256), _csp(c256, many, shortcut=True))
        self.stage3 = nn.Sequential(_down(c256, c512), _csp(c512, many, shortcut=True))
        self.stage4 = nn.Sequential(
            _down(c512, c1024), SPPBottleneck(c1024, c1024, NORM), _csp(c1024, few, shortcut=False)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Features of `images`, float [B, 3, H, W], at stride 32: [B, 1024 x width, H / 32, W / 32]."""
        out: Tensor = self.stage4(self.stage3(self.stage2(self.stage1(self.stem(images)))))
        return out


def _down(inputs: int, outputs: int) -> ConvModule:
    return ConvModule(inputs, outputs, 3, NORM, stride=2)


def _csp(channels: int, blocks: int, *, shortcut: bool) -> CSPLayer:
    return CSPLayer(channels, channels, blocks, partial(CSPNeXtBlock, shortcut=shortcut), NORM, attention=True)
