"""From the maps of a PersonLab to the places of keypoints (Papandreou et al., 2018, section 3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from models.tasks import Float

RADIUS = 32
"""Of the discs that the keypoints' maps were trained on, pixels; and how far a proposal may lie from its keypoint."""

PEAK = 0.001
"""Score above which the votes make a keypoint."""

MOST = 200
"""Peaks of one keypoint that are kept, the highest; a network that knows nothing can have thousands."""

_WINDOW = 20
"""Side of the square in which a peak is the highest, pixels."""

REFINEMENTS = 2
"""Moves by the short offsets that make the end of another offset precise."""

_MARGIN = 3
"""Rows and columns around the votes: one before; one after for a vote on the border, and one for one outside of it."""

_EDGE = 1 + 1e-6
"""The border of the image where the centre is 0; with room for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What the network says of one image, see `PersonLab.forward`; offsets are x, y in pixels of the network's input.

    Attributes:
        heat: [17, h, w]. short: [17, 2, h, w]. mid: [32, 2, h, w]. long: [17, 2, h, w]. person: [h, w].
        stride: pixels per cell; the input has (h - 1) stride + 1 rows.
    """

    heat: Tensor
    short: Tensor
    mid: Tensor
    long: Tensor
    person: Tensor
    stride: int


def resize(maps: Tensor, stride: int) -> Tensor:
    """`maps` [..., h, w] at every pixel, bilinearly: [..., (h - 1) stride + 1, (w - 1) stride + 1]."""
    *others, height, width = maps.shape
    wide = maps.reshape(-1, width) @ _weights(width, stride).T
    return (_weights(height, stride) @ wide.view(-1, height, wide.shape[1])).view(*others, -1, wide.shape[1])


@cache
def _weights(cells: int, stride: int) -> Tensor:
    """What each cell gives to each pixel of a line: [(cells - 1) stride + 1, cells]."""
    distance = torch.arange((cells - 1) * stride + 1)[:, None] / stride - torch.arange(cells)
    return (1 - distance.abs()).clamp_min(0)


def move(points: Tensor, offsets: Tensor, stride: int, steps: int) -> Tensor:
    """`points` [N, 2, P] after `steps` moves by the `offsets` [N, 2, h, w] of where they are; outside of the image: 0.

    The offsets between the cells are bilinear, as if the map had been resized before.
    """
    height, width = offsets.shape[-2:]
    to_grid = 2 / (torch.tensor([[width - 1], [height - 1]]) * float(stride))
    for _ in range(steps):
        grid = points * to_grid - 1
        inside = grid.abs().amax(1, keepdim=True) <= _EDGE
        step = F.grid_sample(offsets, grid.transpose(1, 2)[:, None], align_corners=True, padding_mode="border")
        points = points + step[:, :, 0] * inside
    return points


def hough(maps: Tensor, offsets: Tensor, stride: int) -> Float:
    """The votes for every keypoint: each pixel gives its heat to the place that its short offset points to.

    A pixel whose heat is below `PEAK` has no vote: a whole disc of them would not make a keypoint.

    Args:
        maps: the heat [17, h, w].
        offsets: the short ones [17, 2, h, w].
        stride: pixels per cell.

    Returns:
        float32 [17, H, W], where 1 is the votes of one whole disc.
    """
    heat, short = (resize(part, stride).numpy() for part in (maps, offsets))
    height, width = heat.shape[1:]
    votes = torch.zeros(len(heat), height + _MARGIN, width + _MARGIN)
    for of_keypoint, weights, shifts in zip(votes, heat, short, strict=True):
        pixels = np.flatnonzero(weights >= PEAK)
        rows, columns = np.divmod(pixels, width)
        x, y = (torch.from_numpy(shift.ravel()[pixels]) for shift in shifts)
        x += torch.from_numpy(columns)
        y += torch.from_numpy(rows)
        _scatter(of_keypoint, torch.from_numpy(weights.ravel()[pixels]), x, y)
    inside = votes[:, 1 : height + 1, 1 : width + 1]
    return (inside / (math.pi * RADIUS**2)).numpy()


def _scatter(into: Tensor, weights: Tensor, x: Tensor, y: Tensor) -> None:
    """Add `weights` [V] at the places x, y, bilinearly over the four pixels around each; uses up `x` and `y`.

    Args:
        into: [H + 3, W + 3], of which the image is [1:-2, 1:-2]. What falls outside of it ends in the margin.
    """
    line = into.shape[1]
    x, y = x.add_(1).clamp_(0, line - 2), y.add_(1).clamp_(0, into.shape[0] - 2)
    left, top = x.floor(), y.floor()
    place = torch.add(left, top, alpha=line).int()
    right_share = x.sub_(left)
    lower = weights * y.sub_(top)
    cells = into.view(-1)
    for shift, weight in ((0, weights - lower), (line, lower)):
        right = weight * right_share
        cells[shift:].index_add_(0, place, weight - right)
        cells[shift + 1 :].index_add_(0, place, right)


def peaks(votes: Float) -> Float:
    """Where the `votes` [17, H, W] are the highest of a square of 20 pixels.

    Returns:
        float32 [17, P, 3] with P <= `MOST`: of each keypoint x, y and score, best first; score 0 for no peak.
    """
    square = np.ones((_WINDOW, _WINDOW), np.uint8)
    found = []
    for of_keypoint in votes:
        # Mirrored at the border, the window of a pixel of the first row holds one row more; so it is in the original.
        highest = cv2.dilate(of_keypoint, square, borderType=cv2.BORDER_REFLECT_101)
        pixels = np.flatnonzero((of_keypoint == highest) & (of_keypoint > PEAK))
        scores = of_keypoint.ravel()[pixels]
        best = np.argsort(-scores, kind="stable")[:MOST]
        y, x = np.divmod(pixels[best], votes.shape[2])
        found.append(np.stack([x, y, scores[best]], axis=1))
    padded = np.zeros((len(found), max(map(len, found)), 3), np.float32)
    for row, of_keypoint in zip(padded, found, strict=True):
        row[: len(of_keypoint)] = of_keypoint
    return padded


def confidence(people: Float, heat: Tensor, stride: int) -> Float:
    """The probability of each keypoint where it was found.

    The votes are no such thing: offsets that err by two pixels spread a disc's votes over some twenty of them.

    Args:
        people: float32 [N, 17, 3], x, y and votes, 0 = not found.
        heat: [17, h, w].
        stride: pixels per cell.

    Returns:
        float32 [N, 17], 0..1; 0 for what was not found, and above 0 for what was.
    """
    x, y = torch.from_numpy(people[..., :2]).long().unbind(-1)
    rows, columns = _weights(heat.shape[1], stride)[y], _weights(heat.shape[2], stride)[x]
    probability = torch.einsum("nkh,khw,nkw->nk", rows, heat, columns).clamp(PEAK, 1)
    sure: Float = probability.numpy() * (people[..., 2] > 0)
    return sure
