"""HRNet, a backbone that keeps its full resolution (Wang et al., "Deep High-Resolution Representation Learning", 2020).

The modules are registered in the order in which PaddleSeg builds them, on which `models.segment.eiseg` relies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import ConvModule

STEM, BOTTLENECK, BLOCKS = 64, 256, 4
"""Channels of the stem and of the first stage; residual blocks of a branch in each module."""

_NORM = partial(nn.BatchNorm2d, eps=1e-5)
_RELU = partial(nn.ReLU, inplace=True)


def conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True) -> ConvModule:
    """Convolution, batch-norm and, where wanted, ReLU."""
    return ConvModule(inputs, outputs, kernel, _NORM, stride=stride, activation=_RELU if relu else nn.Identity)


def resize(x: Tensor, like: Tensor) -> Tensor:
    """[B, C, ...] in the height and width of `like`, bilinear with the corners on the corners."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution around a residual connection (He et al., 2016)."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.shortcut = nn.Identity() if inputs == outputs else conv(inputs, outputs, 1, relu=False)
        self.layers = nn.Sequential(conv(inputs, width, 1), conv(width, width, 3), conv(width, outputs, 1, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, 4 * width, H, W]."""
        return F.relu(self.layers(x) + self.shortcut(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a residual connection (He et al., 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(channels, channels, 3), conv(channels, channels, 3, relu=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        return F.relu(self.layers(x) + x)


class Fusion(nn.Module):
    """Every branch becomes the sum of all branches, each brought to its channels and resolution."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(_path(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Branches, finest first -> as many of the same shapes."""
        out = []
        for branch, paths in zip(branches, self.paths, strict=True):
            assert isinstance(paths, nn.ModuleList)
            parts = [path(x) for path, x in zip(paths, branches, strict=True)]
            total = branch
            for part in (part for part in parts if part is not branch):
                total = total + (part if part.shape == branch.shape else resize(part, branch))
            out.append(F.relu(total))
        return out


def _path(channels: Sequence[int], source: int, target: int) -> nn.Module:
    """From one branch to the channels of another, and down to its resolution; upwards, `Fusion` resizes."""
    inputs, outputs = channels[source], channels[target]
    if source == target:
        return nn.Identity()
    if source > target:
        return conv(inputs, outputs, 1, relu=False)
    steps = [conv(inputs, inputs, 3, stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, conv(inputs, outputs, 3, stride=2, relu=False))


class HRModule(nn.Module):
    """Residual blocks on every branch, then their fusion."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS))) for width in channels)
        self.fusion = Fusion(channels)

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Branches, finest first -> as many of the same shapes."""
        out: list[Tensor] = self.fusion([blocks(x) for blocks, x in zip(self.branches, branches, strict=True)])
        return out


class Stage(nn.Module):
    """Begins one more branch at half of the last one's resolution, then runs its modules.

    Args:
        inputs: channels of what the new branch begins from.
        channels: of all branches, the new one last.
        depth: number of modules.
    """

    def __init__(self, inputs: int, channels: Sequence[int], depth: int) -> None:
        super().__init__()
        self.transition = conv(inputs, channels[-1], 3, stride=2)
        self.fused = nn.Sequential(*(HRModule(channels) for _ in range(depth)))

    def forward(self, branches: Sequence[Tensor], last: Tensor) -> list[Tensor]:
        """Branches and what the new one begins from -> one branch more."""
        out: list[Tensor] = self.fused([*branches, self.transition(last)])
        return out


class HRNet(nn.Module):
    """The backbone.

    Args:
        width: channels of the finest branch; each other has twice those of the branch before.
        modules: of the stages with two, three and four branches.
    """

    def __init__(self, width: int = 18, modules: Sequence[int] = (1, 4, 3)) -> None:
        super().__init__()
        channels = [width * 2**i for i in range(len(modules) + 1)]
        self.channels = sum(channels)
        self.stem1 = conv(3, STEM, 3, stride=2)
        self.stem2 = conv(STEM, STEM, 3, stride=2)
        self.stage1 = nn.Sequential(
            *(Bottleneck(STEM if i == 0 else BOTTLENECK, BOTTLENECK // 4) for i in range(BLOCKS))
        )
        self.first = conv(BOTTLENECK, channels[0], 3)
        inputs = (BOTTLENECK, *channels[1:])
        self.stages = nn.ModuleList(
            Stage(inputs[number], channels[: number + 2], depth) for number, depth in enumerate(modules)
        )

    def forward(self, images: Tensor, beside: Tensor) -> Tensor:
        """Maps of all branches, one behind the other in the finest resolution.

        Args:
            images: float [B, 3, H, W].
            beside: float [B, 64, H / 2, W / 2], added to the first convolution's output.

        Returns:
            [B, 15 * width, H / 4, W / 4].
        """
        x = self.stage1(self.stem2(self.stem1(images) + beside))
        branches, last = [self.first(x)], x
        for stage in self.stages:
            branches = stage(branches, last)
            last = branches[-1]
        finest, *coarser = branches
        return torch.cat([finest, *(resize(x, finest) for x in coarser)], dim=1)
