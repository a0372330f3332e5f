"""Heat maps on the device: what `models.pose.heatmaps` does on arrays, to the same numbers."""

from __future__ import annotations

import torch
from torch import Tensor

_TOWARDS_NEIGHBOUR = 0.25
"""Of a cell: how far the place is moved to the larger one of its neighbours (Xiao et al., "Simple Baselines", 2018)."""


def decode(maps: Tensor) -> Tensor:
    """Places and scores of keypoints; nothing waits for the device.

    Args:
        maps: float [N, K, h, w].

    Returns:
        float32 [N, K, 3]: x and y in cells, 0 the middle of the first, moved by a quarter of a cell towards the larger
        neighbour but in the two cells at the left and upper border and the last at the others; and the largest value in
        0..1. All 0 where not found.
    """
    height, width = maps.shape[2:]
    flat = maps.flatten(2)
    cell = flat.argmax(dim=2, keepdim=True)
    best = flat.gather(2, cell)[..., 0]
    row, column = cell[..., 0].div(width, rounding_mode="floor"), cell[..., 0].remainder(width)

    def larger(step: int) -> Tensor:
        """1 where the next cell in this direction is larger than the one before, -1 where it is smaller."""
        neighbours = ((cell + way).clamp(0, height * width - 1) for way in (step, -step))  # not used at the border
        after, before = (flat.gather(2, neighbour)[..., 0] for neighbour in neighbours)
        return (after - before).sign()

    found = best > 0
    inside = (column > 1) & (column < width - 1) & (row > 1) & (row < height - 1) & found
    moved = torch.stack([larger(1), larger(width)], dim=2).float() * (_TOWARDS_NEIGHBOUR * inside[..., None])
    places = torch.stack([column, row], dim=2) * found[..., None] + moved
    return torch.cat([places, best.float().clamp(0, 1)[..., None]], dim=2)


def shifted(mirrored: Tensor) -> Tensor:
    """As `models.pose.heatmaps.shifted`: heat maps of a mirrored image moved by the cell that they are off."""
    return torch.cat([mirrored[..., 1:], mirrored[..., -1:]], dim=-1)
