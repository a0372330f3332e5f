"""COCO's 17 keypoints, and the constants of their evaluation (cocodataset.org, "Keypoint Evaluation")."""

from __future__ import annotations

import numpy as np

MIRRORED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Of each keypoint the one on the other side of the body, which it becomes in a mirror."""

SIGMAS = np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089]
)  # fmt: skip
"""Standard deviations of the 17 keypoints between annotators, in units of the square root of the person's area."""

AREA_OF_BOX = 0.53
"""The share of its box that a person fills, as the evaluation takes it where there is no mask."""
