"""The convolutional blocks that YOLOX, RTMPose and their relatives are built of, with OpenMMLab's field names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Norm = Callable[[int], nn.Module]
"""Makes the normalisation of so many channels, such as `partial(nn.BatchNorm2d, eps=1e-3)`."""

SILU = partial(nn.SiLU, inplace=True)
"""Makes the activation that all of them have in common."""

Module = TypeVar("Module", bound=nn.Module)


class ConvModule(nn.Module):
    """Convolution, batch-norm, activation; the padding divides the size by the stride and nothing else.

    `fuse` folds the batch-norm into the convolution, which then has a bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        norm: Norm,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: Callable[[], nn.Module] = SILU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
        self.bn = norm(outputs)
        self.activate = activation()

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out: Tensor = self.activate(self.bn(self.conv(x)))
        return out

    def fuse(self) -> None:
        """Fold the batch-norm, in its evaluation form, into the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.conv = fuse_conv_bn_eval(self.conv.eval(), self.bn.eval())
            self.bn = nn.Identity()


class DepthwiseSeparableConvModule(nn.Module):
    """A k x k convolution per channel, then a 1x1 convolution over channels (Howard et al., MobileNets, 2017)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: Norm, *, stride: int = 1) -> None:
        super().__init__()
        self.depthwise_conv = ConvModule(inputs, inputs, kernel, norm, stride=stride, groups=inputs)
        self.pointwise_conv = ConvModule(inputs, outputs, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out: Tensor = self.pointwise_conv(self.depthwise_conv(x))
        return out


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling (He et al., 2015): the map beside its maxima over windows of 5, 9 and 13 pixels.

    A window of 5 over a window of 5 is a window of 9, so each pooling goes on from the one before.
    """

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__()
        hidden = inputs // 2
        self.conv1 = ConvModule(inputs, hidden, 1, norm)
        self.pool = nn.MaxPool2d(5, stride=1, padding=2)
        self.conv2 = ConvModule(4 * hidden, outputs, 1, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        x = self.conv1(x)
        pool5 = self.pool(x)
        pool9 = self.pool(pool5)
        pool13 = self.pool(pool9)
        out: Tensor = self.conv2(torch.cat([x, pool5, pool9, pool13], dim=1))
        return out


class ChannelAttention(nn.Module):
    """Scales every channel by a hard sigmoid of a linear map of all channels' means (RTMDet, Lyu et al., 2022)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)
        self.act = nn.Hardsigmoid(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        out: Tensor = x * self.act(self.fc(x.mean((2, 3), keepdim=True)))
        return out


class CSPLayer(nn.Module):
    """Cross-stage partial layer (Wang et al., CSPNet, 2020): blocks on one half of the channels, the other half passes.

    Args:
        inputs, outputs: channels.
        depth: number of blocks.
        block: makes one block of so many channels.
        norm: makes the normalisation.
        attention: weigh the channels before the last convolution.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        depth: int,
        block: Callable[[int], nn.Module],
        norm: Norm,
        *,
        attention: bool = False,
    ) -> None:
        super().__init__()
        hidden = outputs // 2
        self.main_conv = ConvModule(inputs, hidden, 1, norm)
        self.short_conv = ConvModule(inputs, hidden, 1, norm)
        self.final_conv = ConvModule(2 * hidden, outputs, 1, norm)
        self.blocks = nn.Sequential(*(block(hidden) for _ in range(depth)))
        self.attention = ChannelAttention(2 * hidden) if attention else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        short = self.short_conv(x)
        main = self.blocks(self.main_conv(x))
        out: Tensor = self.final_conv(self.attention(torch.cat([main, short], dim=1)))
        return out


@dataclass(frozen=True)
class NetworkScale(ABC):
    """The size of a network, which makes its parts; each backbone has its own batch-norm and its own blocks.

    Attributes:
        depth, width: multipliers of blocks per stage and of channels.
        depthwise: the kind of its 3x3 convolutions.
    """

    depth: float
    width: float
    depthwise: bool = False

    @abstractmethod
    def norm(self, channels: int) -> nn.Module:
        """The batch-norm of so many channels."""

    @abstractmethod
    def block(self, channels: int, *, shortcut: bool) -> nn.Module:
        """A residual block of a CSP layer, with or without the shortcut."""

    def channels(self, full: int) -> int:
        """Channels at this scale where the full network has `full`."""
        return int(full * self.width)

    def blocks(self, full: int) -> int:
        """Blocks of a stage at this scale where the full network has `full`."""
        return max(round(full * self.depth), 1)

    def conv(self, inputs: int, outputs: int, *, stride: int = 1) -> nn.Module:
        """A 3x3 convolution of this kind."""
        if self.depthwise:
            return DepthwiseSeparableConvModule(inputs, outputs, 3, self.norm, stride=stride)
        return ConvModule(inputs, outputs, 3, self.norm, stride=stride)

    def pointwise(self, inputs: int, outputs: int) -> ConvModule:
        """A 1x1 convolution."""
        return ConvModule(inputs, outputs, 1, self.norm)

    def csp(self, inputs: int, outputs: int, blocks: int, *, shortcut: bool, attention: bool = False) -> CSPLayer:
        """A CSP layer of this kind of blocks."""
        block = partial(self.block, shortcut=shortcut)
        return CSPLayer(inputs, outputs, blocks, block, self.norm, attention=attention)


def fuse(module: Module) -> Module:
    """Fold every batch-norm of `module` into its convolution, in place; returns `module` in evaluation mode."""
    for part in module.modules():
        if isinstance(part, ConvModule):
            part.fuse()
    return module.eval()
