"""How alike two people are: by their boxes, and by their keypoints."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.coco import SIGMAS
from stream.types import Float

Double: TypeAlias = npt.NDArray[np.float64]


def box_similarity(a: Double, b: Double) -> Double:
    """Intersection over union times the squared ratio of the heights, float64 [A, B], for boxes [A, 4] and [B, 4].

    A person's height hardly changes between two frames, while the box of somebody half hidden behind another is shorter
    or narrower: the heights tell apart whom the overlap alone confuses (as in Hybrid-SORT, Yang et al. 2024).
    """
    one, other = a.T.copy()[:, :, None], b.T.copy()[:, None]
    size, other_size = one[2:] - one[:2], other[2:] - other[:2]
    sides = np.minimum(one[2:], other[2:])
    sides -= np.maximum(one[:2], other[:2])
    np.maximum(sides, 0.0, out=sides)
    both = sides[0] * sides[1]
    union = size[0] * size[1] + other_size[0] * other_size[1]
    union -= both
    ratio = np.minimum(size[1], other_size[1]) / np.maximum(size[1], other_size[1])
    alike: Double = both / union * ratio**2
    return alike


def keypoint_similarity(a: Double | Float, b: Double | Float, areas: Double) -> Double:
    """COCO's object keypoint similarity of P pairs, float64 [P] in 0..1, NaN where no keypoint has a score in both.

    Args:
        a, b: x, y, score of the keypoints, [P, 17, 3]; a keypoint counts by the product of its two scores.
        areas: of the people, square pixels, float64 [P].
    """
    weights = a[:, :, 2] * b[:, :, 2]
    apart = a[:, :, :2] - b[:, :, :2]
    distance = np.einsum("pkc,pkc->pk", apart, apart)
    alike = np.exp(distance / (areas[:, None] * (-8 * SIGMAS**2)))  # exp(-d^2 / (2 s^2 k^2)) with k = 2 sigma
    with np.errstate(invalid="ignore"):
        similarity: Double = (alike * weights).sum(axis=1) / weights.sum(axis=1)
    return similarity
