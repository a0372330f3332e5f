"""CSPNeXt, the backbone of RTMPose and RTMDet (Lyu et al., "RTMDet", 2022), with OpenMMLab's field names."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from models.layers import ConvModule, DepthwiseSeparableConvModule, NetworkScale, SPPBottleneck

NORM = partial(nn.BatchNorm2d, eps=1e-5)
"""Its batch-norm; YOLOX, otherwise a near relative, has another epsilon."""


class Scale(NetworkScale):
    """The size of a network, which makes its parts."""

    def norm(self, channels: int) -> nn.Module:
        """The batch-norm of so many channels."""
        return NORM(channels)

    def block(self, channels: int, *, shortcut: bool) -> nn.Module:
        """A `CSPNeXtBlock`."""
        return CSPNeXtBlock(channels, self, shortcut=shortcut)


class CSPNeXtBlock(nn.Module):
    """A 3x3 and a depthwise separable 5x5 convolution, with or without a shortcut around both."""

    def __init__(self, channels: int, scale: Scale, *, shortcut: bool) -> None:
        super().__init__()
        self.conv1 = scale.conv(channels, channels)
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
        c64, c128, c256, c512, c1024 = (scale.channels(full) for full in (64, 128, 256, 512, 1024))
        few, many = scale.blocks(3), scale.blocks(6)
        csp = partial(scale.csp, attention=True)
        self.stem = nn.Sequential(
            ConvModule(3, c64 // 2, 3, NORM, stride=2),
            ConvModule(c64 // 2, c64 // 2, 3, NORM),
            ConvModule(c64 // 2, c64, 3, NORM),
        )
        self.stage1 = nn.Sequential(scale.conv(c64, c128, stride=2), csp(c128, c128, few, shortcut=True))
        self.stage2 = nn.Sequential(scale.conv(c128, c256, stride=2), csp(c256, c256, many, shortcut=True))
        self.stage3 = nn.Sequential(scale.conv(c256, c512, stride=2), csp(c512, c512, many, shortcut=True))
        self.stage4 = nn.Sequential(
            scale.conv(c512, c1024, stride=2),
            SPPBottleneck(c1024, c1024, NORM),
            csp(c1024, c1024, few, shortcut=False),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of `images`, float [B, 3, H, W], at strides 8, 16 and 32: 256, 512 and 1024 x width channels."""
        stride8 = self.stage2(self.stage1(self.stem(images)))
        stride16 = self.stage3(stride8)
        return stride8, stride16, self.stage4(stride16)
