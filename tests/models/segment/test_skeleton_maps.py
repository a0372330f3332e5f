"""Poses drawn as maps: exactly as the original draws them, whatever lies where."""

from __future__ import annotations

import numpy as np
import pytest

from models.segment.skeleton_maps import LIMBS, MAPS, skeleton_maps
from models.tasks import Float
from tests.oracles.pose2seg_golden import GOLDEN, drawn


def person(*points: tuple[int, float, float, int]) -> Float:
    """One pose, float32 [1, 17, 3], of which these keypoints have a place and a flag."""
    pose = np.zeros((1, 17, 3), np.float32)
    for keypoint, x, y, flag in points:
        pose[0, keypoint] = x, y, flag
    return pose


def test_the_maps_differ_from_the_originals() -> None:
    with np.load(GOLDEN) as golden:
        assert np.abs(skeleton_maps(drawn()) - golden["maps"]).max() < 1e-6


def test_affinities_come_before_the_confidences() -> None:
    """The text that goes with the seed says so; the released weights do not."""
    maps = skeleton_maps(person((5, 20, 30, 2), (6, 40, 30, 2)))[0]
    shoulders = 17 + 2 * LIMBS.index((5, 6))
    assert maps.shape == (MAPS, 64, 64) == (55, 64, 64)
    assert np.flatnonzero(np.abs(maps).sum((1, 2))).tolist() == [5, 6, shoulders]
    assert maps[5, 30, 20] == maps[6, 30, 40] == 1
    assert maps[shoulders, 30, 25] == 1 and maps[shoulders + 1].max() == 0


def test_a_limb_points_the_wrong_way() -> None:
    maps = skeleton_maps(person((5, 40, 40, 2), (7, 10, 10, 2)))[0]
    x, y = maps[17 + 2 * LIMBS.index((5, 7)) :][:2]
    assert x[25, 25] == y[25, 25] == pytest.approx(-(0.5**0.5))


def test_a_hidden_keypoint_counts_as_seen() -> None:
    maps = skeleton_maps(person((0, 32, 32, 1)))[0]
    assert maps[0].min() == -1 and maps[0].max() == 0


def test_an_estimated_keypoint_with_its_score_as_flag_would_vanish_or_turn() -> None:
    maps = skeleton_maps(np.full((1, 17, 3), 32, np.float32) * (1, 1, 0))
    assert not maps.any()


def test_keypoints_outside_of_the_square_wrap_around_or_break_it() -> None:
    maps = skeleton_maps(person((5, -500, -20, 2), (6, -30, -90, 2), (7, 1e6, 3, 2), (8, -4, 32, 2)))
    assert np.isfinite(maps).all()
    assert np.flatnonzero(np.abs(maps[0, :17]).sum((1, 2))).tolist() == [8]
    assert maps[0, 8, 32, :6].min() > 0 and maps[0, 8, :, 6:].max() == 0


def test_a_limb_without_length_divides_by_zero() -> None:
    with np.errstate(all="raise", under="ignore"):
        maps = skeleton_maps(person((5, 20, 20, 2), (7, 20, 20, 2)))
    assert not maps[0, 17:].any() and maps[0, 5, 20, 20] == 1


def test_people_share_a_drawing() -> None:
    poses = np.concatenate([drawn(), drawn()[::-1], np.zeros((1, 17, 3), np.float32)])
    together = skeleton_maps(poses)
    assert (together == np.concatenate([skeleton_maps(pose[None]) for pose in poses])).all()
    assert not together[-1].any()
    assert skeleton_maps(poses[:0]).shape == (0, 55, 64, 64)
