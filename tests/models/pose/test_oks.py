from __future__ import annotations

import numpy as np
import pytest
from pycocotools.cocoeval import COCOeval

from models.pose.oks import SIGMAS, oks_nms, rescored, similarity
from models.tasks import Float


def poses(count: int, seed: int = 0) -> Float:
    random = np.random.default_rng(seed)
    keypoints = random.uniform(0, 200, (count, 17, 3)).astype(np.float32)
    keypoints[..., 2] = random.random((count, 17))
    return keypoints


def plain(keypoints: Float, scores: Float, areas: Float, limit: float) -> list[int]:
    """The obvious loop."""
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable").tolist():
        if all(float(similarity(keypoints[[i]], keypoints[[j]], areas[[i]], areas[[j]])[0, 0]) <= limit for j in kept):
            kept.append(i)
    return kept


def test_similarity_is_another_than_cocos() -> None:
    truth, found = poses(1)[0], poses(1, seed=1)[0]
    found[:, :2] = truth[:, :2] + (found[:, :2] - 100) / 20
    evaluation = COCOeval(iouType="keypoints")
    np.testing.assert_allclose(evaluation.params.kpt_oks_sigmas, SIGMAS)
    visible = np.column_stack([truth[:, :2], np.full(17, 2)])
    evaluation._gts = {(1, 1): [{"keypoints": visible.ravel().tolist(), "bbox": [0, 0, 200, 200], "area": 9000.0}]}
    evaluation._dts = {(1, 1): [{"keypoints": found.ravel().tolist(), "score": 1.0}]}
    evaluation.params.maxDets = [20]
    evaluation.params.imgIds, evaluation.params.catIds = [1], [1]
    expected = evaluation.computeOks(1, 1)
    area = np.array([9000], np.float32)
    np.testing.assert_allclose(similarity(found[None], truth[None], area, area), expected, rtol=1e-5)
    assert 0.1 < expected < 0.95


def test_two_people_of_different_sizes_are_compared_by_one_of_them() -> None:
    first, second = poses(1), poses(1) + np.float32(5)
    large, small = np.array([40000], np.float32), np.array([400], np.float32)
    one_way, other_way = similarity(first, second, large, small), similarity(second, first, small, large)
    np.testing.assert_allclose(one_way, other_way, rtol=1e-6)
    mean = np.array([20200], np.float32)
    np.testing.assert_allclose(one_way, similarity(first, second, mean, mean), rtol=1e-6)


def test_a_person_without_an_area_is_not_a_number() -> None:
    nothing = np.zeros(2, np.float32)
    oks = similarity(poses(2), poses(2), nothing, nothing)
    np.testing.assert_allclose(oks, np.eye(2), atol=1e-6)


def test_keypoints_that_were_not_found_lower_or_raise_a_score() -> None:
    keypoints = np.zeros((3, 17, 3), np.float32)
    keypoints[0, :4, 2] = 0.8
    keypoints[1, :4, 2], keypoints[1, 4:, 2] = 0.8, 0.2
    scores = rescored(np.array([0.5, 0.5, 0.9], np.float32), keypoints)
    np.testing.assert_allclose(scores, [0.4, 0.4, 0])


@pytest.mark.parametrize("limit", [0.3, 0.6, 0.9])
def test_suppression_keeps_others_than_the_obvious_loop(limit: float) -> None:
    random = np.random.default_rng(3)
    base = poses(8)
    keypoints = np.concatenate([base, base + random.normal(0, 6, base.shape).astype(np.float32), poses(4, seed=9)])
    scores = random.random(len(keypoints), np.float32)
    areas = random.uniform(5000, 40000, len(keypoints)).astype(np.float32)
    kept = oks_nms(keypoints, scores, areas, limit)
    assert kept.tolist() == plain(keypoints, scores, areas, limit)
    assert 4 <= len(kept) <= len(keypoints)


def test_a_pose_that_was_suppressed_suppresses_others() -> None:
    """The second is like the first and like the third, these two are not alike: without the second, the third stays."""
    keypoints = np.concatenate([poses(1) + np.float32(moved) for moved in (0, 8, 16)])
    areas = np.full(3, 10000, np.float32)
    oks = similarity(keypoints, keypoints, areas, areas)
    limit = float((oks[0, 1] + oks[0, 2]) / 2)
    assert oks_nms(keypoints, np.array([0.9, 0.8, 0.7], np.float32), areas, limit).tolist() == [0, 2]


def test_nobody_is_suppressed() -> None:
    empty = np.zeros(0, np.float32)
    assert oks_nms(poses(0), empty, empty).tolist() == []
    assert rescored(empty, poses(0)).shape == (0,)
