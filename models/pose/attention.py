"""Attention for heat-map networks: where on a feature map to look, as one step of a conditional random field.

Chu et al., "Multi-Context Attention for Human Pose Estimation", 2017: a map of scores is smoothed by mean-field steps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEPS = 3
"""Mean-field steps."""


class CRFAttention(nn.Module):
    """Looks at a feature map, and says of each of its places how much it counts, 0..1.

    Args:
        channels: of the feature map.
        maps: how many such answers, each with weights of its own.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.unary = nn.Conv2d(channels, maps, 3, padding=1, bias=False)
        self.pairwise = nn.Parameter(torch.ones(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, maps, H, W]."""
        unary = self.unary(x)
        attention: Tensor = unary
        for _ in range(STEPS):
            attention = torch.sigmoid(self.pairwise * attention + unary)
        return attention


class HolisticAttention(nn.Module):
    """Feature maps of three resolutions, each weighed by its own attention, repeated to the finest and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(CRFAttention(channels, 1) for _ in range(3))

    def forward(self, features: list[Tensor]) -> Tensor:
        """Three maps, each [B, channels, H, W] of twice the resolution of the one before -> the shape of the last."""
        coarse, middle, fine = (x * level(x) for level, x in zip(self.levels, features, strict=True))
        out: Tensor = F.interpolate(coarse, scale_factor=4.0) + F.interpolate(middle, scale_factor=2.0) + fine
        return out


class PartAttention(nn.Module):
    """One map per keypoint: a 1x1 convolution of the features, weighed by the keypoint's own attention.

    Weighing first and convolving then would be the same, as the attention is one number per place; this way the
    features need not be copied once per keypoint.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.attention = CRFAttention(channels, keypoints)
        self.parts = nn.Conv2d(channels, keypoints, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> [B, keypoints, H, W]."""
        out: Tensor = self.parts(x) * self.attention(x)
        return out
