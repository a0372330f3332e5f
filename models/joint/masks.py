"""From people's keypoints and the long offsets to their masks (Papandreou et al., 2018, section 3.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from models.joint.decoding import REFINEMENTS, Maps, move, resize
from models.tasks import Float

FARTHEST = 0.25
"""Of the distance of a pixel's embedding from a person, above which it is nobody's; per square root of the area of the
box around the person's keypoints."""

NOBODY = -1

_PERSON = 0.5
"""Probability above which a pixel is of some person."""

_CELL = 4
"""Side of the squares that are looked at as a whole where their corners agree, pixels; divides every stride."""

_PIXELS = 8192
"""Pixels that are looked at together, so that what is computed of them stays in the processor's cache."""


def label(people: Float, maps: Maps) -> npt.NDArray[np.int16]:
    """Whose each pixel is.

    Every fourth pixel in both directions is looked at, and all those between four that do not agree.

    Args:
        people: float32 [N, 17, 3], x, y in pixels of the network's input and score, 0 = not found; N < 32768.
        maps: of the image.

    Returns:
        int16 [H, W], number of the person, or NOBODY.
    """
    inside = resize(maps.person, maps.stride) > _PERSON
    labels = torch.full(inside.shape, NOBODY, dtype=torch.int16)
    if not len(people):
        return labels.numpy()
    near = F.max_pool2d(inside[None].float(), 2 * _CELL - 1, _CELL, _CELL - 1)[0] > 0
    coarse = torch.full(near.shape, NOBODY, dtype=torch.int16)
    coarse[near] = owners(near.nonzero() * _CELL, people, maps)
    corner = coarse[:-1, :-1]
    agree = (corner == coarse[1:, :-1]) & (corner == coarse[:-1, 1:]) & (corner == coarse[1:, 1:])
    rows, columns = (
        torch.div(torch.arange(n), _CELL, rounding_mode="floor").clamp_max((n - 1) // _CELL - 1) for n in inside.shape
    )
    labels = torch.where(inside, corner[rows][:, columns], NOBODY)
    doubtful = inside & ~agree[rows][:, columns]
    labels[doubtful] = owners(doubtful.nonzero(), people, maps)
    return labels.numpy()


def owners(pixels: Tensor, people: Float, maps: Maps) -> Tensor:
    """Whose each of these pixels is, if it is anybody's.

    A pixel's long offsets say where it takes the keypoints of its person to be. It goes to the person whose keypoints
    are the nearest to these places: on the mean by their scores, and relative to the person's size.

    Args:
        pixels: [P, 2], row and column.
        people, maps: as for `label`; at least one person.

    Returns:
        int16 [P].
    """
    scores = torch.from_numpy(people[..., 2])
    weights = scores / (scores.sum(1) * _sizes(people))[:, None]
    places = torch.from_numpy(people[..., :2])
    found = torch.empty(len(pixels), dtype=torch.int16)
    for first in range(0, len(pixels), _PIXELS):
        some = pixels[first : first + _PIXELS].flip(1).T.float().expand(len(maps.long), -1, -1)
        embedded = move(move(some, maps.long, maps.stride, 1 + REFINEMENTS), maps.short, maps.stride, REFINEMENTS)
        nearest, whose = _distances(embedded, places, weights).min(0)
        found[first : first + _PIXELS] = torch.where(nearest <= FARTHEST, whose, NOBODY)
    return found


def _distances(embedded: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum [N, P] of the distances of embeddings [17, 2, P] from the keypoints [N, 17, 2] of N people."""
    total = torch.zeros(len(places), embedded.shape[2])
    for (x, y), place, weight in zip(embedded, places.unbind(1), weights.unbind(1), strict=True):
        dx, dy = x - place[:, :1], y - place[:, 1:]
        total.addcmul_(dx.mul_(dx).addcmul_(dy, dy).sqrt_(), weight[:, None])
    return total


def _sizes(people: Float) -> Tensor:
    """Square root of the area of the box around each person's keypoints [N]; at least one pixel."""
    found = people[..., 2:] > 0
    lowest = np.where(found, people[..., :2], np.inf).min(1)
    highest = np.where(found, people[..., :2], -np.inf).max(1)
    return torch.from_numpy(np.sqrt(np.maximum(np.prod(highest - lowest, axis=1), 1)).astype(np.float32))
