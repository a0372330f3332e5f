"""SimCC (Li et al., 2022): the place of a keypoint as the largest of many bins along x and along y."""

from __future__ import annotations

import numpy as np

from models.tasks import Float

SPLIT_RATIO = 2
"""Bins per pixel."""


def decode(x: Float, y: Float) -> tuple[Float, Float]:
    """Places and scores of keypoints.

    Args:
        x, y: float32 [N, K, 2 W] and [N, K, 2 H], as from `RTMPose.forward`.

    Returns:
        float32 [N, K, 2], x and y in pixels of the network's input; float32 [N, K], 0..1, the smaller one of the two
        largest values, as in RTMPose (0 where it is negative: not found).
    """
    columns, rows = x.argmax(axis=2, keepdims=True), y.argmax(axis=2, keepdims=True)
    scores = np.minimum(np.take_along_axis(x, columns, axis=2), np.take_along_axis(y, rows, axis=2))
    places = np.concatenate([columns, rows], axis=2).astype(np.float32) / np.float32(SPLIT_RATIO)
    return places, scores[..., 0].clip(0, 1)
