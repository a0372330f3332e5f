"""RTMPose's head: keypoints become tokens, a gated attention unit relates them, two linear layers classify x and y.

Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023; field names of OpenMMLab.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TOKEN = 256
"""Width of a keypoint's token."""

KEY = 128
"""Width of the attention's queries and keys."""

SPLIT_RATIO = 2
"""Bins per pixel of the input, for x and y (SimCC, Li et al., 2022)."""


class ScaleNorm(nn.Module):
    """Divides a vector by its root mean square and multiplies it by a learnt number (Nguyen and Salazar, 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = width**-0.5
        self.g = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same shape."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True) * self.scale
        out: Tensor = x / norm.clamp(min=1e-5) * self.g
        return out


class ResidualScale(nn.Module):
    """Multiplies every channel by a learnt number."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> the same shape."""
        return x * self.scale


class GatedAttentionUnit(nn.Module):
    """Self-attention with squared ReLU and a gate (Hua et al., "Transformer Quality in Linear Time", 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.ln = ScaleNorm(TOKEN)
        self.uv = nn.Linear(TOKEN, 4 * TOKEN + KEY, bias=False)
        self.gamma = nn.Parameter(torch.rand(2, KEY))
        self.beta = nn.Parameter(torch.rand(2, KEY))
        self.o = nn.Linear(2 * TOKEN, TOKEN, bias=False)
        self.res_scale = ResidualScale(TOKEN)
        nn.init.xavier_uniform_(self.uv.weight)

    def forward(self, tokens: Tensor, wanted: int) -> Tensor:
        """The first `wanted` tokens after attending to all: [B, K, 256] -> [B, wanted, 256]."""
        gate, value, base = torch.split(F.silu(self.uv(self.ln(tokens))), [2 * TOKEN, 2 * TOKEN, KEY], dim=-1)
        query = base[:, :wanted] * self.gamma[0] + self.beta[0]
        key = base * self.gamma[1] + self.beta[1]
        attention = F.relu(query @ key.transpose(1, 2) / math.sqrt(KEY)).square()
        out: Tensor = self.o(gate[:, :wanted] * (attention @ value))
        kept: Tensor = self.res_scale(tokens[:, :wanted])
        return out + kept


class RTMCCHead(nn.Module):
    """From the backbone's features to SimCC's bins.

    Args:
        channels: of the features.
        cells: of the features, height x width.
        bins: of x and of y.
        keypoints: how many it was trained on.
    """

    def __init__(self, channels: int, cells: int, bins: tuple[int, int], keypoints: int) -> None:
        super().__init__()
        self.wanted = keypoints
        self.final_layer = nn.Conv2d(channels, keypoints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, TOKEN, bias=False))
        self.gau = GatedAttentionUnit()
        self.cls_x = nn.Linear(TOKEN, bins[0], bias=False)
        self.cls_y = nn.Linear(TOKEN, bins[1], bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, channels, h, w] -> [B, K, bins of x], [B, K, bins of y]."""
        tokens = self.gau(self.mlp(self.final_layer(features).flatten(2)), self.wanted)
        return self.cls_x(tokens), self.cls_y(tokens)
