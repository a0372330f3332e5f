"""A mask in parts: limbs must go where their keypoints go, and nothing of it may be lost, doubled or made up."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.evaluate.agreement import iou
from stream.attention.puppet import Puppet
from stream.types import Bool, Float

SIZE = (300, 300)
LIMBS = ((5, 6), (11, 12), (5, 11), (6, 12), (5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))


def pose(*, stride: float = 0.0, at: tuple[float, float] = (150.0, 150.0), scale: float = 1.0) -> Float:
    """Somebody 200 pixels high, middle at `at`, whose feet are `stride` pixels before and behind the hips."""
    places = [(0, -90), (-3, -93), (3, -93), (-6, -90), (6, -90)]  # head
    places += [(-20, -65), (20, -65), (-26, -35), (26, -35), (-26 - stride, -10), (26 + stride, -10)]
    places += [(-12, 0), (12, 0), (-12 - stride / 2, 45), (12 + stride / 2, 45)]
    places += [(-12 - stride, 90), (12 + stride, 90)]
    points = np.array(places, np.float32) * scale + np.float32(at)
    return np.concatenate([points, np.full((17, 1), 0.9, np.float32)], axis=1)


def body(keypoints: Float, width: int = 14) -> Bool:
    """What a perfect mask network sees: thick limbs, a torso, a head."""
    canvas = np.zeros(SIZE, np.uint8)
    points = keypoints[:, :2].round().astype(int).tolist()
    for a, b in LIMBS:
        cv2.line(canvas, points[a], points[b], 1, width)
    cv2.fillConvexPoly(canvas, np.array([points[i] for i in (5, 6, 12, 11)]), 1)
    cv2.circle(canvas, points[0], width, 1, -1)
    return canvas > 0


def played(before: Float, now: Float) -> Bool:
    """The mask of `before`, posed as `now`, in the frame."""
    puppet = Puppet.cut(body(before)[10:], (0, 10), before)
    assert puppet is not None
    posed = puppet.posed(now, SIZE)
    assert posed is not None
    window, (x, y) = posed
    frame = np.zeros(SIZE, np.bool_)
    frame[y : y + window.shape[0], x : x + window.shape[1]] = window
    return frame


@pytest.mark.parametrize(
    ("now", "least"),
    [
        (pose(), 0.97),
        (pose(at=(170.5, 140.5)), 0.9),
        (pose(stride=40), 0.85),
        (pose(stride=20, at=(120, 160)), 0.85),
        (pose(scale=1.15), 0.85),
        (pose(at=(20, 150)), 0.9),
    ],
    ids=["nothing moves", "the person", "the limbs", "both", "nearer", "partly out of the frame"],
)
def test_limbs_stay_behind_when_a_person_moves(now: Float, least: float) -> None:
    assert iou(played(pose(), now), body(now)) >= least


def test_legs_that_stood_together_cannot_part() -> None:
    now = pose(stride=45)
    assert iou(played(pose(), now), body(now)) > iou(body(pose()), body(now)) + 0.2


def test_a_limb_that_is_not_seen_any_more_flies_off() -> None:
    now = pose(at=(160, 150))
    now[9] = 5, 290, 0.05  # the left wrist, guessed at
    assert iou(played(pose(), now), body(pose(at=(160, 150)))) > 0.9


def test_a_limb_that_was_never_seen_is_cut_out_of_the_mask() -> None:
    before = pose()
    before[[7, 9], 2] = 0.05
    assert iou(played(before, pose()), body(pose())) > 0.95


def test_a_bone_of_no_length_turns_its_part_anywhere() -> None:
    before, now = pose(), pose()
    before[9, :2] = before[7, :2]
    now[9, :2] = now[7, :2] + (0, -1)
    assert np.isfinite(played(before, now)).all() and iou(played(before, now), body(before)) > 0.9


def test_somebody_without_a_torso_is_posed_all_the_same() -> None:
    unseen = pose()
    unseen[5:7, 2] = 0.1
    assert Puppet.cut(body(unseen), (0, 0), unseen) is None
    puppet = Puppet.cut(body(pose()), (0, 0), pose())
    assert puppet is not None and puppet.posed(unseen, SIZE) is None


def test_keypoints_far_from_their_mask_lose_it() -> None:
    far = pose(at=(5000, 5000))
    puppet = Puppet.cut(body(pose()), (0, 0), far)
    assert puppet is not None
    posed = puppet.posed(far, SIZE)
    assert posed is not None and posed[0].sum() == pytest.approx(body(pose()).sum(), rel=0.02)


def test_an_empty_mask_or_one_outside_of_the_frame_is_an_error() -> None:
    nothing = Puppet.cut(np.zeros((20, 10), np.bool_), (100, 100), pose())
    gone = Puppet.cut(body(pose()), (0, 0), pose())
    assert nothing is not None and gone is not None
    for posed in (nothing.posed(pose(), SIZE), gone.posed(pose(at=(-900, -900)), SIZE)):
        assert posed is not None and posed[0].sum() == 0
