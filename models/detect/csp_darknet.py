"""YOLOX's backbone and neck, CSPDarknet and PAFPN, with OpenMMLab's field names."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import ConvModule, CSPLayer, DepthwiseSeparableConvModule, SPPBottleneck, fuse

NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)
"""YOLOX's batch-norm; with PyTorch's own epsilon the published weights lose accuracy."""


class Scale(NamedTuple):
    """The size of a network: multipliers of blocks per stage and of channels, and the kind of its 3x3 convolutions."""

    depth: float
    width: float
    depthwise: bool = False

    def channels(self, full: int) -> int:
        """Channels at this scale where the full network has `full`."""
        return int(full * self.width)

    def blocks(self, full: int) -> int:
        """Blocks of a stage at this scale where the full network has `full`."""
        return max(round(full * self.depth), 1)

    def conv(self, inputs: int, outputs: int, *, stride: int = 1) -> nn.Module:
        """A 3x3 convolution of this kind."""
        if self.depthwise:
            return DepthwiseSeparableConvModule(inputs, outputs, 3, NORM, stride=stride)
        return ConvModule(inputs, outputs, 3, NORM, stride=stride)

    def csp(self, inputs: int, outputs: int, blocks: int, *, shortcut: bool) -> CSPLayer:
        """A CSP layer of Darknet blocks."""
        return CSPLayer(inputs, outputs, blocks, lambda width: DarknetBlock(width, self, shortcut=shortcut), NORM)


class Focus(nn.Module):
    """Every 2x2 block of pixels becomes one pixel of four times the channels, then a 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvModule(4 * inputs, outputs, 3, NORM)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / 2, W / 2]."""
        left, right = x[..., ::2], x[..., 1::2]
        # The published weights want the pixels of a block in the order top left, bottom left, top right, bottom right.
        pixels = [left[:, :, ::2], left[:, :, 1::2], right[:, :, ::2], right[:, :, 1::2]]
        out: Tensor = self.conv(torch.cat(pixels, dim=1))
        return out

    def folded(self) -> ConvModule:
        """The same function as one 6x6 convolution of stride 2, which spares the slicing; after `fuse`."""
        outputs, inputs = self.conv.conv.out_channels, self.conv.conv.in_channels // 4
        folded = fuse(ConvModule(inputs, outputs, 6, NORM, stride=2))
        # Channels are ordered (column in the block, row in the block, input), see `forward`.
        weight = self.conv.conv.weight.detach().view(outputs, 2, 2, inputs, 3, 3).permute(0, 3, 4, 2, 5, 1)
        folded.conv.load_state_dict({"weight": weight.reshape(outputs, inputs, 6, 6), "bias": self.conv.conv.bias})
        return folded


class DarknetBlock(nn.Module):
    """A 1x1 and a 3x3 convolution, with or without a shortcut around both."""

    def __init__(self, channels: int, scale: Scale, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = ConvModule(channels, channels, 1, NORM)
        self.conv2 = scale.conv(channels, channels)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.shortcut else out


class CSPDarknet(nn.Module):
    """The backbone: a stem and four stages, each of which halves the resolution."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c64, c128, c256, c512, c1024 = (scale.channels(full) for full in (64, 128, 256, 512, 1024))
        few, many = scale.blocks(3), scale.blocks(9)
        self.stem: Focus | ConvModule = Focus(3, c64)
        self.stage1 = nn.Sequential(scale.conv(c64, c128, stride=2), scale.csp(c128, c128, few, shortcut=True))
        self.stage2 = nn.Sequential(scale.conv(c128, c256, stride=2), scale.csp(c256, c256, many, shortcut=True))
        self.stage3 = nn.Sequential(scale.conv(c256, c512, stride=2), scale.csp(c512, c512, many, shortcut=True))
        self.stage4 = nn.Sequential(
            scale.conv(c512, c1024, stride=2),
            SPPBottleneck(c1024, c1024, NORM),
            scale.csp(c1024, c1024, few, shortcut=False),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of `images`, float [B, 3, H, W], at strides 8, 16 and 32."""
        stride8 = self.stage2(self.stage1(self.stem(images)))
        stride16 = self.stage3(stride8)
        return stride8, stride16, self.stage4(stride16)


class PAFPN(nn.Module):
    """The neck, a path-aggregation network (Liu et al., 2018): features flow from coarse to fine and back."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c256, c512, c1024 = (scale.channels(full) for full in (256, 512, 1024))
        blocks = scale.blocks(3)
        self.reduce_layers = nn.ModuleList([ConvModule(c1024, c512, 1, NORM), ConvModule(c512, c256, 1, NORM)])
        self.top_down_blocks = nn.ModuleList(
            [scale.csp(2 * c512, c512, blocks, shortcut=False), scale.csp(2 * c256, c256, blocks, shortcut=False)]
        )
        self.downsamples = nn.ModuleList([scale.conv(c256, c256, stride=2), scale.conv(c512, c512, stride=2)])
        self.bottom_up_blocks = nn.ModuleList(
            [scale.csp(2 * c256, c512, blocks, shortcut=False), scale.csp(2 * c512, c1024, blocks, shortcut=False)]
        )
        self.out_convs = nn.ModuleList(ConvModule(c, c256, 1, NORM) for c in (c256, c512, c1024))

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> list[Tensor]:
        """The backbone's features -> three maps of 256 x width channels at the same strides."""
        coarse = self.reduce_layers[0](stride32)
        mixed = self.top_down_blocks[0](torch.cat([_upsample(coarse), stride16], dim=1))
        middle = self.reduce_layers[1](mixed)
        out8 = self.top_down_blocks[1](torch.cat([_upsample(middle), stride8], dim=1))
        out16 = self.bottom_up_blocks[0](torch.cat([self.downsamples[0](out8), middle], dim=1))
        out32 = self.bottom_up_blocks[1](torch.cat([self.downsamples[1](out16), coarse], dim=1))
        return [conv(out) for conv, out in zip(self.out_convs, (out8, out16, out32), strict=True)]


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
