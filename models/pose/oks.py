"""Object keypoint similarity (OKS): how alike two poses are, whose scores are worth what, and which poses are one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.coco import SIGMAS
from models.tasks import Float

VISIBLE = 0.2
"""The score above which a keypoint counts for `rescored` (Xiao et al., 2018)."""

SAME_POSE = 0.9
"""The OKS above which two poses are of one person (Xiao et al., 2018)."""


def similarity(keypoints: Float, others: Float, areas: Float, other_areas: Float) -> Float:
    """OKS of every pose with every other: the mean over all keypoints of `exp(-d^2 / (2 area (2 sigma)^2))`.

    Args:
        keypoints: float32 [N, 17, >= 2], x and y.
        others: float32 [M, 17, >= 2].
        areas: float32 [N], of the persons, pixels squared; the mean of the two counts.
        other_areas: float32 [M].

    Returns:
        float32 [N, M], 0..1.
    """
    squared = np.square(keypoints[:, None, :, :2] - others[None, :, :, :2]).sum(axis=-1)
    area = (areas[:, None] + other_areas[None]) / 2
    exponent = squared / np.square(2 * SIGMAS) / (2 * np.maximum(area, np.finfo(np.float32).tiny)[..., None])
    oks: Float = np.exp(-exponent).mean(axis=-1).astype(np.float32)
    return oks


def rescored(scores: Float, keypoints: Float, visible: float = VISIBLE) -> Float:
    """The score of a pose: that of its box, times the mean score of the keypoints above `visible`; 0 without any.

    Args:
        scores: float32 [N], of the boxes.
        keypoints: float32 [N, 17, 3].
        visible: from above which score a keypoint counts.

    Returns:
        float32 [N].
    """
    of_keypoints = keypoints[..., 2]
    counted = of_keypoints > visible
    mean = (of_keypoints * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    product: Float = (scores * mean).astype(np.float32)
    return product


def oks_nms(keypoints: Float, scores: Float, areas: Float, limit: float = SAME_POSE) -> npt.NDArray[np.intp]:
    """Keep the best of the poses that are one person.

    Args:
        keypoints: float32 [N, 17, >= 2].
        scores: float32 [N].
        areas: float32 [N], of the persons, pixels squared.
        limit: of two poses whose OKS is larger, the one with the lower score goes.

    Returns:
        Numbers of the poses that stay, best first.
    """
    order = np.argsort(-scores, kind="stable")
    oks = similarity(keypoints[order], keypoints[order], areas[order], areas[order])
    stays = np.ones(len(order), bool)
    for pose in range(len(order)):
        if stays[pose]:
            stays[pose + 1 :] &= oks[pose, pose + 1 :] <= limit
    return order[stays]
