"""YOLOX's backbone, CSPDarknet, with OpenMMLab's field names."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from models.layers import ConvModule, NetworkScale, SPPBottleneck, fuse

NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)
"""YOLOX's batch-norm; with PyTorch's own epsilon the published weights lose accuracy."""


class Scale(NetworkScale):
    """The size of a network, which makes its parts."""

    def norm(self, channels: int) -> nn.Module:
        """The batch-norm of so many channels."""
        return NORM(channels)

    def block(self, channels: int, *, shortcut: bool) -> nn.Module:
        """A `DarknetBlock`."""
        return DarknetBlock(channels, self, shortcut=shortcut)


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
