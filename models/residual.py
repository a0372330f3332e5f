"""Residual blocks of ResNet (He et al., 2016), the hourglasses and Pose2Seg, and the folding of their batch-norms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, cast

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


class Foldable(nn.Module):
    """A module that says which of its convolutions a batch-norm follows directly.

    Attributes:
        normed: name of the convolution -> name of the batch-norm.
    """

    normed: Mapping[str, str]


class BasicBlock(Foldable):
    """Two 3x3 convolutions and a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU(inplace=True)
        self.normed = {"conv1": "bn1", "conv2": "bn2"} | _normed_shortcut(self.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        result: Tensor = self.relu(out + self.downsample(x))
        return result


class Bottleneck(Foldable):
    """1x1, 3x3 (which has the stride, as in torchvision) and 1x1 convolution, four times as wide behind as inside.

    Args:
        inputs, inside: channels.
        stride: of the block.
        bias: whether its convolutions have one in spite of the batch-norms behind them.
    """

    def __init__(self, inputs: int, inside: int, stride: int = 1, *, bias: bool = False) -> None:
        super().__init__()
        outputs = 4 * inside
        self.conv1 = nn.Conv2d(inputs, inside, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, stride, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, outputs, 1, bias=bias)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride, bias=bias)
        self.relu = nn.ReLU(inplace=True)
        self.normed = {"conv1": "bn1", "conv2": "bn2", "conv3": "bn3"} | _normed_shortcut(self.downsample)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, 4 x inside, H / stride, W / stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(out)))))
        result: Tensor = self.relu(out + self.downsample(x))
        return result


class PreActivationBottleneck(Foldable):
    """Norm and ReLU before each of a 1x1, a 3x3 and a 1x1 convolution (He et al., "Identity Mappings", 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        inside = outputs // 2
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, inside, 1)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, outputs, 1)
        self.downsample = nn.Identity() if inputs == outputs else nn.Sequential(nn.Conv2d(inputs, outputs, 1))
        self.relu = nn.ReLU(inplace=True)
        self.normed = {"conv1": "bn2", "conv2": "bn3"}

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W]."""
        out = self.relu(self.bn2(self.conv1(self.relu(self.bn1(x)))))
        out = self.conv3(self.relu(self.bn3(self.conv2(out))))
        result: Tensor = out + self.downsample(x)
        return result


def fold(network: Network) -> Network:
    """Fold the batch-norms of every `Foldable` into its convolutions, in place; returns `network`, not in training."""
    network.eval()
    for part in list(network.modules()):
        if isinstance(part, Foldable):
            for conv, norm in part.normed.items():
                _fold(part, conv, norm)
            part.normed = {}
    return network


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    convolution, batch_norm = owner.get_submodule(conv), cast(nn.BatchNorm2d, owner.get_submodule(norm))
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    owner.set_submodule(conv, fuse_conv_bn_eval(convolution, batch_norm, transpose=transposed))  # type: ignore[type-var]
    owner.set_submodule(norm, nn.Identity())


def _shortcut(inputs: int, outputs: int, stride: int, *, bias: bool = False) -> nn.Module:
    if (inputs, stride) == (outputs, 1):
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=bias), nn.BatchNorm2d(outputs))


def _normed_shortcut(shortcut: nn.Module) -> dict[str, str]:
    return {"downsample.0": "downsample.1"} if isinstance(shortcut, nn.Sequential) else {}
