"""Greedy non-maximum suppression."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.tasks import Float


def nms(xyxy: Float, scores: Float, iou: float) -> npt.NDArray[np.intp]:
    """Indices of the boxes to keep, best first: none overlaps a better one of them by more than `iou`.

    Args:
        xyxy: float32 [N, 4].
        scores: float32 [N], above 0.
        iou: intersection over union, 0..1.
    """
    xywh = xyxy.astype(np.float64)  # OpenCV is three times as fast on doubles as on floats here
    xywh[:, 2:] -= xywh[:, :2]
    kept = cv2.dnn.NMSBoxes(xywh, scores, 0.0, iou)  # type: ignore[arg-type]
    return np.asarray(kept, np.intp)  # of nothing, OpenCV keeps an empty tuple
