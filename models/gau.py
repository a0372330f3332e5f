"""The gated attention unit of RTMPose and RTMO, which relates the keypoints of a person; field names of OpenMMLab."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KEY = 128
"""Width of the queries and keys."""


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
    """Self-attention with squared ReLU and a gate (Hua et al., "Transformer Quality in Linear Time", 2022).

    Args:
        width: of a token.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widths = [2 * width, 2 * width, KEY]
        self.ln = ScaleNorm(width)
        self.uv = nn.Linear(width, sum(self.widths), bias=False)
        self.gamma = nn.Parameter(torch.rand(2, KEY))
        self.beta = nn.Parameter(torch.rand(2, KEY))
        self.o = nn.Linear(2 * width, width, bias=False)
        self.res_scale = ResidualScale(width)
        nn.init.xavier_uniform_(self.uv.weight)

    def forward(self, tokens: Tensor, wanted: int, places: Tensor | None = None) -> Tensor:
        """The first `wanted` tokens after attending to all: [B, K, width] -> [B, wanted, width].

        Args:
            tokens: of the keypoints.
            wanted: how many of them.
            places: [K, 128], added to queries and keys; none if they are told apart by the tokens alone.
        """
        gate, value, base = torch.split(F.silu(self.uv(self.ln(tokens))), self.widths, dim=-1)
        query = base[:, :wanted] * self.gamma[0] + self.beta[0]
        key = base * self.gamma[1] + self.beta[1]
        if places is not None:
            query, key = query + places[:wanted], key + places
        attention = F.relu(query @ key.transpose(1, 2) / math.sqrt(KEY)).square()
        out: Tensor = self.o(gate[:, :wanted] * (attention @ value))
        kept: Tensor = self.res_scale(tokens[:, :wanted])
        return out + kept
