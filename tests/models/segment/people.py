"""People made of seventeen points."""

from __future__ import annotations

import numpy as np

from models.tasks import Float

_FIGURE = (
    (0, -0.9), (0.05, -0.93), (-0.05, -0.93), (0.08, -0.9), (-0.08, -0.9),
    (0.2, -0.65), (-0.2, -0.65), (0.3, -0.35), (-0.3, -0.35), (0.32, -0.05), (-0.32, -0.05),
    (0.12, 0), (-0.12, 0), (0.13, 0.5), (-0.13, 0.5), (0.13, 1), (-0.13, 1),
)  # fmt: skip
"""A standing person, hips in the origin, one unit from there to the ankles."""


def standing(middle: tuple[float, float], height: float, degrees: float = 0) -> Float:
    """Keypoints, float32 [17, 3], of a person with the hips at `middle`, turned clockwise, all with score .9."""
    turn = np.radians(degrees)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.array(_FIGURE) @ rotation.T * height / 2 + middle
    return np.column_stack([points, np.full(17, 0.9)]).astype(np.float32)


def boxes_of(keypoints: Float, margin: float = 0.1) -> Float:
    """Boxes, float32 [N, 4], around all keypoints, float32 [N, 17, 3], and a `margin` of their longer side."""
    low, high = keypoints[..., :2].min(1), keypoints[..., :2].max(1)
    extra = (high - low).max(1, keepdims=True) * margin
    return np.concatenate([low - extra, high + extra], 1).astype(np.float32)
