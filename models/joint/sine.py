"""Places as sines and cosines (Vaswani et al., "Attention Is All You Need", 2017), in the order that RTMO has them."""

from __future__ import annotations

import torch
from torch import Tensor


def sine_encoding(places: Tensor, width: int, temperature: float) -> Tensor:
    """Numbers as points on circles of growing periods: [...] -> float32 [..., width], cosines first.

    Args:
        places: what is encoded.
        width: of the encoding; even.
        temperature: the longest period comes close to 2 pi times this.
    """
    exponents = torch.arange(width // 2, dtype=torch.float32, device=places.device) / (width // 2)
    phases = places.float()[..., None] / temperature**exponents
    return torch.cat([phases.cos(), phases.sin()], dim=-1)


def grid_encoding(height: int, width: int, channels: int, temperature: float, device: torch.device) -> Tensor:
    """Of the cells of a map, row by row: [height x width, channels]; half encodes the row, half the column."""
    rows, columns = (
        sine_encoding(torch.arange(length, device=device), channels // 2, temperature) for length in (height, width)
    )
    along = (height, width, channels // 2)
    return torch.cat([rows[:, None].expand(along), columns[None].expand(along)], dim=-1).flatten(0, 1)
