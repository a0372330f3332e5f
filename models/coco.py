"""Constants of COCO's evaluation of keypoints (cocodataset.org, "Keypoint Evaluation")."""

from __future__ import annotations

import numpy as np

SIGMAS = np.array(
    [.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107, .087, .087, .089, .089]
)  # fmt: skip
"""Standard deviations of the 17 keypoints between annotators, in units of the square root of the person's area."""

AREA_OF_BOX = 0.53
"""The share of its box that a person fills, as the evaluation takes it where there is no mask."""
