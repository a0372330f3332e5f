"""How alike two people are: by their boxes, and by their keypoints."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from models.coco import SIGMAS

Double: TypeAlias = npt.NDArray[np.float64]


def box_similarity(a: Double, b: Double) -> Double:
    """Intersection over union times the squared ratio of the heights, float64 [A, B], for boxes [A, 4] and [B, 4].

    A person's height hardly changes between two frames, while the box of somebody half hidden behind another is shorter
    or narrower: the heights tell apart whom the overlap alone confuses (as in Hybrid-SORT, Yang et al. 2024).
    """
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    width = np.minimum(a[:, 2, None], b[:, 2]) - np.maximum(a[:, 0, None], b[:, 0])
    height = np.minimum(a[:, 3, None], b[:, 3]) - np.maximum(a[:, 1, None], b[:, 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    union = (size_a[:, 0] * size_a[:, 1])[:, None] + size_b[:, 0] * size_b[:, 1] - both
    ratio = size_a[:, 1, None] / size_b[:, 1]
    alike: Double = both / union * np.minimum(ratio, 1 / ratio) ** 2
    return alike


def keypoint_similarity(a: Double, b: Double, areas: Double) -> Double:
    """COCO's object keypoint similarity of P pairs, float64 [P] in 0..1, NaN where no keypoint has a score in both.

    Args:
        a, b: x, y, score of the keypoints, float64 [P, 17, 3]; a keypoint counts by the product of its two scores.
        areas: of the people, square pixels, float64 [P].
    """
    weights = a[:, :, 2] * b[:, :, 2]
    apart = a[:, :, :2] - b[:, :, :2]
    distance = np.einsum("pkc,pkc->pk", apart, apart)
    alike = np.exp(distance / (areas[:, None] * (-8 * SIGMAS**2)))  # exp(-d^2 / (2 s^2 k^2)) with k = 2 sigma
    with np.errstate(invalid="ignore"):
        similarity: Double = (alike * weights).sum(axis=1) / weights.sum(axis=1)
    return similarity
