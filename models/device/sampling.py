"""Bilinear reading of many images at once, in the ways of OpenCV's `warpAffine`.

OpenCV 5 interpolates exactly, and so does this: values differ by one grey level at most, from rounding. Older versions
cut coordinates to 1/32 pixel; from 4.12 it is up to 7 grey levels away on noise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

Read: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Values, float [..., C], at whole columns and rows, which may lie beyond the border."""


def bilinear(read: Read, x: Tensor, y: Tensor) -> Tensor:
    """Values, float [..., C], between the four neighbours of each point.

    Args:
        read: what is there.
        x, y: float, of shapes that broadcast to the result's; centres of pixels at whole numbers.
    """
    left, top = x.floor(), y.floor()
    right_share, lower_share = (x - left)[..., None], (y - top)[..., None]
    column, row = left.long(), top.long()
    upper = torch.lerp(read(column, row), read(column + 1, row), right_share)
    lower = torch.lerp(read(column, row + 1), read(column + 1, row + 1), right_share)
    return torch.lerp(upper, lower, lower_share)


def bordered(values: Tensor, first: Tensor, width: Tensor | int, height: Tensor | int, beyond: float) -> Read:
    """Reads flat images, with one value everywhere beyond their border.

    Args:
        values: [P, C], rows of all images one after the other.
        first, width, height: long, per point of the result or broadcast to it: where the image begins in `values`, and
            its size.
        beyond: the value.
    """

    def read(column: Tensor, row: Tensor) -> Tensor:
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        # Where it is not inside, any pixel will do.
        found = values[torch.where(inside, first + row * width + column, 0)].float()
        return torch.where(inside[..., None], found, beyond)

    return read


def mirrored(values: Tensor, first: Tensor, width: Tensor, bounds: tuple[Tensor, Tensor, Tensor, Tensor]) -> Read:
    """Reads parts of flat images, mirrored beyond the part's border without repeating its last pixel.

    Args:
        values: [P, C]. first, width: as in `bordered`.
        bounds: long, left, top, right, bottom of the part in its image, the latter two exclusive.
    """
    left, top, right, bottom = bounds

    def read(column: Tensor, row: Tensor) -> Tensor:
        x, y = _folded(column, left, right), _folded(row, top, bottom)
        return values[first + y * width + x].float()

    return read


def _folded(place: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`place` mirrored into `low` to `high` (exclusive) as often as it takes."""
    last = high - low - 1
    there_and_back = (place - low).remainder((2 * last).clamp(min=1))
    return low + torch.minimum(there_and_back, 2 * last - there_and_back).clamp(min=0)
