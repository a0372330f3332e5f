from __future__ import annotations

import numpy as np
import pytest

from models.detect.nms import nms
from models.tasks import Float


def brute_force(xyxy: Float, scores: Float, limit: float) -> list[int]:
    """By the definition, one pair at a time, in double precision."""

    def iou(a: Float, b: Float) -> float:
        width = max(min(a[2], b[2]) - max(a[0], b[0]), 0)
        height = max(min(a[3], b[3]) - max(a[1], b[1]), 0)
        areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
        return width * height / (areas - width * height)

    boxes = xyxy.astype(np.float64)
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if all(iou(boxes[i], boxes[j]) <= limit for j in kept):
            kept.append(int(i))
    return kept


def crowd(count: int, seed: int) -> tuple[Float, Float]:
    """Boxes in clumps, as anchors around people give them."""
    random = np.random.default_rng(seed)
    people = random.uniform(0, 500, (8, 2))[random.integers(0, 8, count)]
    corner = people + random.normal(0, 4, (count, 2))
    xyxy = np.concatenate([corner, corner + random.uniform(20, 60, (count, 2))], axis=1)
    return xyxy.astype(np.float32), random.permutation(np.linspace(0.01, 0.99, count)).astype(np.float32)


@pytest.mark.parametrize("limit", [0.3, 0.65, 0.9])
@pytest.mark.parametrize("count", [1, 2, 30, 250])
def test_it_keeps_what_the_definition_keeps(count: int, limit: float) -> None:
    for seed in range(4):
        boxes, scores = crowd(count, seed)
        assert nms(boxes, scores, limit).tolist() == brute_force(boxes, scores, limit)


def test_nothing_gives_nothing() -> None:
    assert nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), 0.65).shape == (0,)


def test_of_two_equal_boxes_the_better_stays() -> None:
    boxes = np.array([[10, 10, 20, 30]] * 2, np.float32)
    assert nms(boxes, np.array([0.4, 0.7], np.float32), 0.65).tolist() == [1]


def test_boxes_that_touch_both_stay() -> None:
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10]], np.float32)
    assert nms(boxes, np.array([0.4, 0.7], np.float32), 0.0).tolist() == [1, 0]
