"""The stacked hourglass (Newell et al., 2016) of pre-activation bottlenecks, with the field names of bearpaw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, cast

import torch.nn.functional as F
from torch import Tensor, nn

from models.loading import load_state
from models.pose.published import is_princeton, princeton_names
from models.residual import Foldable, PreActivationBottleneck

DEPTH = 4
"""How often an hourglass halves the resolution."""

FEATURES = 256
"""Channels inside of an hourglass."""


PAST, DOWN, UP, BOTTOM = range(4)
"""Blocks of one resolution, in the order of the published names; only the coarsest has those at the bottom."""


class Hourglass(nn.Module):
    """One hourglass; `hg` holds the blocks of every resolution, the coarsest first."""

    def __init__(self) -> None:
        super().__init__()
        self.hg = nn.ModuleList(nn.ModuleList(_block() for _ in range(3 if level else 4)) for level in range(DEPTH))

    def forward(self, x: Tensor) -> Tensor:
        """[B, 256, H, W] -> the same shape; H and W multiples of 16."""
        return self._through(x, DEPTH - 1)

    def _through(self, x: Tensor, level: int) -> Tensor:
        blocks = cast(nn.ModuleList, self.hg[level])
        low = blocks[DOWN](F.max_pool2d(x, 2))
        low = self._through(low, level - 1) if level else blocks[BOTTOM](low)
        out: Tensor = blocks[PAST](x) + F.interpolate(blocks[UP](low), scale_factor=2.0)
        return out


class StackedHourglass(Foldable):
    """The network.

    Args:
        stacks: hourglasses, each of which starts from what the one before has found.
        keypoints: how many heat maps.
        stem: channels behind the second residual block; 256 with bearpaw, 128 with princeton-vl.
    """

    def __init__(self, stacks: int = 2, keypoints: int = 16, stem: int = 256) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _block(64, 128)
        self.layer2 = _block(128, stem)
        self.layer3 = _block(stem)
        again = stacks - 1
        self.hg = nn.ModuleList(Hourglass() for _ in range(stacks))
        self.res = nn.ModuleList(_block() for _ in range(stacks))
        self.fc = nn.ModuleList(_linear_norm_relu() for _ in range(stacks))
        self.score = nn.ModuleList(nn.Conv2d(FEATURES, keypoints, 1) for _ in range(stacks))
        self.fc_ = nn.ModuleList(nn.Conv2d(FEATURES, FEATURES, 1) for _ in range(again))
        self.score_ = nn.ModuleList(nn.Conv2d(keypoints, FEATURES, 1) for _ in range(again))
        self.normed = {"conv1": "bn1"} | {f"fc.{stack}.0": f"fc.{stack}.1" for stack in range(stacks)}

    def forward(self, images: Tensor) -> Tensor:
        """Where each keypoint is, according to the last stack.

        Args:
            images: float [B, 3, H, W], H and W multiples of 64, normalised as the weights want it.

        Returns:
            Heat maps [B, K, H / 4, W / 4], about 1 at the keypoint.
        """
        x = self.layer1(self.relu(self.bn1(self.conv1(images))))
        x = self.layer3(self.layer2(F.max_pool2d(x, 2)))
        for stack, (hourglass, res, fc, score) in enumerate(zip(self.hg, self.res, self.fc, self.score, strict=True)):
            features = fc(res(hourglass(x)))
            heatmaps: Tensor = score(features)
            if stack < len(self.fc_):
                x = x + self.fc_[stack](features) + self.score_[stack](heatmaps)
        return heatmaps

    def load(self, state: Mapping[str, Tensor]) -> Self:
        """Take the weights of a checkpoint of bearpaw or princeton-vl; returns the network itself.

        Raises:
            CheckpointError: `state` is not that of this network.
        """
        load_state(self, princeton_names(state) if is_princeton(state) else state)
        return self


def _block(inputs: int = FEATURES, outputs: int = FEATURES) -> nn.Sequential:
    return nn.Sequential(PreActivationBottleneck(inputs, outputs))


def _linear_norm_relu() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(FEATURES, FEATURES, 1), nn.BatchNorm2d(FEATURES), nn.ReLU(inplace=True))
