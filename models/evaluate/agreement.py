"""How far one run agrees with another on the same frames: what is lost when the networks look less often."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from models.coco import AREA_OF_BOX
from models.evaluate.coco import CocoPersons, ImageResult
from models.tasks import Bool, Float

SEEN = 0.3
"""Score from which a keypoint of the reference counts as one that is there."""

SAME_PERSON = 0.5
"""Intersection over union of the boxes of one person in both runs."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """The people of one frame: `boxes` float32 [N, 4], `scores` float32 [N], `keypoints` float32 [N, 17, 3], and
    their masks of the whole frame, bool [H, W], or None each.
    """

    boxes: Float
    scores: Float
    keypoints: Float
    masks: Sequence[Bool | None]


def keypoint_agreement(reference: Sequence[Seen], frames: Sequence[Seen]) -> float:
    """COCO's keypoint AP of the people in `frames`, with those of `reference`, frame for frame, as the truth."""
    truth = CocoPersons.of(
        {
            "images": [{"id": number} for number in range(len(reference))],
            "annotations": list(_annotations(reference)),
            "categories": [{"id": 1, "name": "person", "keypoints": [], "skeleton": []}],
        }
    )
    results = [ImageResult(number, of.boxes, of.scores, of.keypoints) for number, of in enumerate(frames)]
    return truth.evaluate(results)["keypoints"].AP


def mask_agreement(reference: Sequence[Seen], frames: Sequence[Seen]) -> float:
    """Mean intersection over union of the masks of the same people in the same frames; NaN where there are none."""
    ious = [
        iou(before, after)
        for first, second in zip(reference, frames, strict=True)
        for row, column in same_people(first.boxes, second.boxes)
        if (before := first.masks[row]) is not None and (after := second.masks[column]) is not None
    ]
    return float(np.mean(ious)) if ious else float("nan")


def same_people(boxes: Float, others: Float) -> list[tuple[int, int]]:
    """Rows of the boxes [N, 4] and [M, 4] that show the same person, by the largest sum of overlaps."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas, other_areas = (np.prod(of[:, 2:] - of[:, :2], axis=1) for of in (boxes, others))
    overlap: npt.NDArray[Any] = both / np.maximum(areas[:, None] + other_areas - both, 1e-9)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if overlap[r, c] >= SAME_PERSON]


def iou(mask: Bool, other: Bool) -> float:
    """Intersection over union of two masks of one frame; 1 where both are empty."""
    union = int((mask | other).sum())
    return int((mask & other).sum()) / union if union else 1.0


def _annotations(reference: Sequence[Seen]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, seen in enumerate(reference):
        for (x1, y1, x2, y2), points in zip(seen.boxes.tolist(), seen.keypoints, strict=True):
            number += 1
            there = points[:, 2] >= SEEN
            yield {
                "id": number,
                "image_id": image,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": AREA_OF_BOX * (x2 - x1) * (y2 - y1),
                "num_keypoints": int(there.sum()),
                "keypoints": np.column_stack([points[:, :2], 2 * there]).ravel().tolist(),
            }
