"""Likeness of boxes and keypoints, against COCO's own code."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as rle
from pycocotools.cocoeval import Params

from stream.tracking.similarity import SIGMAS, box_similarity, keypoint_similarity

some_boxes = arrays(np.float64, (5, 4), elements=st.floats(1, 500)).map(
    lambda corners: np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
)


def _iou(a: npt.NDArray, b: npt.NDArray) -> npt.NDArray:
    left, right = (np.concatenate([x[:, :2], x[:, 2:] - x[:, :2]], axis=1) for x in (a, b))
    return rle.iou(left, right, [False] * len(right))


@given(some_boxes, some_boxes)
def test_overlap_is_cocos_times_the_squared_ratio_of_heights(a: npt.NDArray, b: npt.NDArray) -> None:
    heights = a[:, 3, None] - a[:, 1, None], b[:, 3] - b[:, 1]
    ratio = np.minimum(*heights) / np.maximum(*heights)
    np.testing.assert_allclose(box_similarity(a, b), _iou(a, b) * ratio**2, atol=1e-12)


@given(some_boxes, some_boxes)
def test_overlap_stays_in_its_range_and_does_not_depend_on_the_order(a: npt.NDArray, b: npt.NDArray) -> None:
    alike = box_similarity(a, b)
    assert (alike >= 0).all()
    assert (alike <= 1).all()
    np.testing.assert_allclose(alike, box_similarity(b, a).T)
    np.testing.assert_allclose(np.diag(box_similarity(a, a)), 1.0)


def test_somebody_half_hidden_is_not_taken_for_the_one_in_front() -> None:
    track = np.array([[0.0, 0.0, 80.0, 200.0]])
    half_hidden, shifted = [0.0, 0.0, 80.0, 110.0], [24.0, 0.0, 104.0, 200.0]
    in_front, behind = box_similarity(track, np.array([shifted, half_hidden]))[0]
    assert _iou(track, np.array([shifted]))[0, 0] < _iou(track, np.array([half_hidden]))[0, 0]
    assert in_front > behind


def test_keypoints_are_compared_as_coco_does() -> None:
    random = np.random.default_rng(0)
    a, b = random.uniform(0, 100, (2, 6, 17, 2))
    areas = random.uniform(2000, 8000, 6)
    ones = np.ones((6, 17, 1))
    found = keypoint_similarity(np.concatenate([a, ones], axis=2), np.concatenate([b, ones], axis=2), areas)
    variances = (2 * Params("keypoints").kpt_oks_sigmas) ** 2
    np.testing.assert_allclose(SIGMAS, Params("keypoints").kpt_oks_sigmas)
    for n in range(6):  # as in COCOeval.computeOks
        distance = ((a[n] - b[n]) ** 2).sum(axis=1) / variances / areas[n] / 2
        assert np.isclose(found[n], np.exp(-distance).mean())


def test_a_keypoint_that_was_not_estimated_does_not_count() -> None:
    random = np.random.default_rng(0)
    a = np.concatenate([random.uniform(0, 100, (1, 17, 2)), np.ones((1, 17, 1))], axis=2)
    b = a.copy()
    b[0, 5] = (1e4, 1e4, 0.0)
    assert np.isclose(keypoint_similarity(a, b, np.array([5000.0]))[0], 1.0)
    b[:, :, 2] = 0.0
    assert np.isnan(keypoint_similarity(a, b, np.array([5000.0]))[0])
