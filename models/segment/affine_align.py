"""Pose2Seg's Affine-Align: everybody's features, turned and scaled so that the pose lies on a pose template.

A matrix, float64 [2, 3], takes pixels of the features to pixels of a person's square (Zhang et al., "Pose2Seg:
Detection Free Human Instance Segmentation", 2019, section 3.3). Centres of pixels are at whole numbers on both sides.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from models.segment.pose_templates import PoseTemplates
from models.tasks import Float

Double = npt.NDArray[np.float64]

FEATURES = 128
"""Height and width of the features, pixels."""

SQUARE = 64
"""Height and width of what a person is cut to, pixels."""

_LEAST_COMMON = 3
"""Keypoints that a pose and a template need in common: two give a matrix, but as a rule a bad one."""

_WHOLE = np.array([[SQUARE / FEATURES, 0, 0], [0, SQUARE / FEATURES, 0]])
"""The matrix that shows all of the features: for people who fit no template, or would become smaller on one."""


def align(keypoints: Float, templates: PoseTemplates) -> Double:
    """The matrix of everybody: the similarity, without reflection, that best lays the pose on its best template.

    A template fits if it has every keypoint that is visible, three at least, and makes the person larger than all of
    the features would be. The best one has the highest score: the mean of exp(-d^2 / 2), d the distance of a keypoint
    from the template's in its unit square, times the share of the template's keypoints that is visible.

    Args:
        keypoints: float32 [N, 17, 3], COCO order: x and y in pixels of the features, third above 0 = visible.
        templates: T poses.

    Returns:
        float64 [N, 2, 3].
    """
    visible = keypoints[:, None, :, 2] > 0
    shared = visible & templates.valid
    matrices, residuals = _similarities(keypoints[..., :2].astype(np.float64), templates.points, shared)
    common, either = shared.sum(-1), (visible | templates.valid).sum(-1)
    closeness = np.where(shared, np.exp(-(residuals**2).sum(-1) / 2), 0).sum(-1)
    scores = closeness / np.maximum(either, 1)  # the mean over `common`, times common / either
    larger = np.hypot(matrices[..., 0, 0], matrices[..., 0, 1]) * SQUARE > _WHOLE[0, 0]
    fits = (common >= _LEAST_COMMON) & ~(visible & ~templates.valid).any(-1) & larger
    scores = np.where(fits, scores, 0)
    best = scores.argmax(1)
    people = np.arange(len(keypoints))
    chosen: Double = np.where((scores[people, best] > 0)[:, None, None], matrices[people, best] * SQUARE, _WHOLE)
    return chosen


def _similarities(points: Double, templates: Double, weights: npt.NDArray[np.bool_]) -> tuple[Double, Double]:
    """Least-squares similarities [[a, b, x], [-b, a, y]] in closed form (Umeyama, 1991, in two dimensions).

    Args:
        points: float64 [N, K, 2].
        templates: float64 [T, K, 2].
        weights: bool [N, T, K], the points that count.

    Returns:
        float64 [N, T, 2, 3], points to templates; and float64 [N, T, K, 2], what remains between the two.
    """
    weight = weights[..., None].astype(np.float64)
    count = np.maximum(weight.sum(2, keepdims=True), 1)
    source, target = np.broadcast_to(points[:, None], (*weights.shape, 2)), templates[None]
    middle, place = ((weight * of).sum(2, keepdims=True) / count for of in (source, target))
    s, d = (source - middle) * weight, (target - place) * weight
    spread = (s**2).sum((2, 3))
    spread = np.where(spread > 0, spread, np.inf)  # points in one place have no similarity: the matrix becomes 0
    a = (s * d).sum((2, 3)) / spread
    b = (s[..., 1] * d[..., 0] - s[..., 0] * d[..., 1]).sum(2) / spread
    turn = np.stack([np.stack([a, b], -1), np.stack([-b, a], -1)], -2)
    shift = place[:, :, 0] - (turn @ middle[:, :, 0, :, None])[..., 0]
    residuals = source @ turn.swapaxes(-1, -2) + shift[:, :, None] - target
    return np.concatenate([turn, shift[..., None]], -1), residuals


def sample(features: Float, owners: npt.NDArray[np.intp], matrices: Double) -> Float:
    """What everybody's square shows of the features, bilinear, 0 outside of them.

    Pose2Seg was trained with grids whose corners are aligned, over twice the size of the square; what they amount to is
    a shift that is smaller by one part in `FEATURES`. Channels come last, so that a point is read in one piece.

    Args:
        features: float32 [B, FEATURES, FEATURES, C], of B images.
        owners: int [N], of each person the image.
        matrices: float64 [N, 2, 3], features to square.

    Returns:
        float32 [N, SQUARE, SQUARE, C].
    """
    size, channels = features.shape[1], features.shape[-1]
    turn = np.linalg.inv(matrices[..., :2])
    shift = -(turn @ matrices[..., 2:]) * ((size - 1) / size)
    pixels = np.arange(SQUARE, dtype=np.float64)
    # [N, 2, SQUARE, SQUARE]: the x of a pixel of the square moves along the last axis, its y along the one before.
    places = turn[..., :1, None] * pixels + turn[..., 1:, None] * pixels[:, None] + shift[..., None]
    low = np.floor(places)
    share = places - low
    rows, weights = [], []
    for dx, dy in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = low[:, 0] + dx, low[:, 1] + dy
        inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
        weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
        rows.append(np.where(inside, (owners[:, None, None] * size + y) * size + x, 0).ravel())
        weights.append(np.where(inside, weight, 0).ravel())
    with torch.inference_mode():
        sampled = F.embedding_bag(
            torch.from_numpy(np.stack(rows, 1).astype(np.int64)),
            torch.from_numpy(features.reshape(-1, channels)),
            mode="sum",
            per_sample_weights=torch.from_numpy(np.stack(weights, 1).astype(np.float32)),
        )
    squares: Float = sampled.numpy().reshape(len(matrices), SQUARE, SQUARE, channels)
    return squares
