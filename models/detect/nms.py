"""Greedy non-maximum suppression, and what is left of the candidates of an image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.tasks import Boxes, Float


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


def best_people(xyxy: Float, scores: Float, size: tuple[int, int], iou: float, max_people: int) -> Boxes:
    """The persons among the candidates of one image, see `best_rows`."""
    rows, xyxy = best_rows(xyxy, scores, size, iou, max_people)
    return Boxes(xyxy, scores[rows])


def best_rows(
    xyxy: Float, scores: Float, size: tuple[int, int], iou: float, max_people: int
) -> tuple[npt.NDArray[np.intp], Float]:
    """Which candidates of one image are persons, best first, and their boxes, cut off at the border of the image.

    Who lies wholly outside of it is dropped.

    Args:
        xyxy: float32 [N, 4], pixels of the image.
        scores: float32 [N], above 0.
        size: height and width of the image, pixels.
        iou: of two boxes that overlap by more, the one with the lower score goes.
        max_people: the best are kept.
    """
    kept = nms(xyxy, scores, iou)
    height, width = size
    xyxy = np.clip(xyxy[kept], 0, np.array([width, height, width, height], np.float32))
    # A box may lie wholly in the padding.
    seen = np.flatnonzero((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))[:max_people]
    return kept[seen], xyxy[seen]
