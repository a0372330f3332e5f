"""Smoothing of keypoints: less jitter, no lag worth the name, nothing mixed up."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream.config import TrackConfig
from stream.tracking import KeypointSmoother, Tracker
from stream.types import People
from tests.stream.tracking.scenes import people, person

FPS = 25.0
HEIGHT = 200.0


def _tracked(*persons: tuple[npt.NDArray, npt.NDArray], ids: tuple[int, ...] = ()) -> People:
    found = people(*persons)
    found.ids[:] = ids or np.arange(1, len(found) + 1)
    return found


def test_a_person_at_rest_does_not_tremble() -> None:
    smoother, random = KeypointSmoother(TrackConfig()), np.random.default_rng(0)
    box, keypoints = person(500, 500)
    raw, smooth = [], []
    for frame in range(200):
        noisy = keypoints + np.concatenate([random.normal(0, 3, (17, 2)), np.zeros((17, 1))], axis=1)
        found = _tracked((box, noisy.astype(np.float32)))
        raw.append(found.keypoints[0, :, :2])
        smooth.append(smoother.smooth(found, frame / FPS).keypoints[0, :, :2])
    assert np.std(smooth[50:], axis=0).mean() < 0.6 * np.std(raw[50:], axis=0).mean()


def test_walking_costs_no_lag() -> None:
    smoother = KeypointSmoother(TrackConfig())
    for frame in range(50):
        found = _tracked(person(100 + 8 * frame, 500))
        result = smoother.smooth(found, frame / FPS)
    np.testing.assert_allclose(result.keypoints, found.keypoints, atol=1e-3)


def test_a_waving_hand_does_not_lag_by_more_than_a_frame() -> None:
    smoother = KeypointSmoother(TrackConfig())
    box, keypoints = person(500, 500)
    behind = []
    for frame in range(100):
        hand = keypoints.copy()
        phase = 2 * np.pi * frame / FPS  # one swing a second, 60 cm wide for a person of 2 m
        hand[9, :2] = 500 + 0.15 * HEIGHT * np.sin(phase), 400
        result = smoother.smooth(_tracked((box, hand)), frame / FPS)
        behind.append(abs(result.keypoints[0, 9, 0] - hand[9, 0]))
    step = 0.15 * HEIGHT * 2 * np.pi / FPS
    assert max(behind[25:]) < step


def test_two_people_are_not_mixed_up_when_their_order_changes() -> None:
    smoother = KeypointSmoother(TrackConfig())
    first, second = person(300, 500, pose=1), person(900, 500, pose=2)
    for frame in range(10):
        pair = (first, second) if frame % 2 else (second, first)
        ids = (1, 2) if frame % 2 else (2, 1)
        found = _tracked(*pair, ids=ids)
        result = smoother.smooth(found, frame / FPS)
        np.testing.assert_allclose(result.keypoints, found.keypoints, atol=1e-3)


def test_a_keypoint_without_score_stays_and_does_not_pull_the_next() -> None:
    smoother = KeypointSmoother(TrackConfig())
    box, keypoints = person(500, 500)
    hidden = keypoints.copy()
    hidden[3] = (-999.0, -999.0, 0.0)
    for frame, seen in enumerate([keypoints, hidden, hidden, keypoints]):
        result = smoother.smooth(_tracked((box, seen)), frame / FPS)
        np.testing.assert_allclose(result.keypoints[0], seen, atol=1e-3)


def test_somebody_found_again_does_not_slide_in_from_an_old_pose() -> None:
    smoother = KeypointSmoother(TrackConfig(lost_seconds=2.0))
    smoother.smooth(_tracked(person(500, 500, pose=1)), 0.0)
    again = _tracked(person(500, 500, pose=2))
    np.testing.assert_allclose(smoother.smooth(again, 2.5).keypoints, again.keypoints, atol=1e-3)


def test_a_repeated_timestamp_does_not_divide_by_zero() -> None:
    smoother = KeypointSmoother(TrackConfig())
    with np.errstate(all="raise"):
        for time in (0.0, 0.0, 0.04, 0.04):
            result = smoother.smooth(_tracked(person(500, 500)), time)
    assert np.isfinite(result.keypoints).all()


def test_the_forgotten_are_forgotten() -> None:
    smoother = KeypointSmoother(TrackConfig(lost_seconds=1.0))
    for frame in range(500):
        smoother.smooth(_tracked(person(500, 500), ids=(frame,)), frame / FPS)
    assert len(smoother) <= 27


def test_smoothing_is_off_unless_asked_for() -> None:
    random = np.random.default_rng(0)
    plain, smooth = Tracker(TrackConfig()), Tracker(TrackConfig(smooth_keypoints=True))
    for frame in range(10):
        found = people(person(500, 500))
        found.keypoints[:, :, :2] += random.normal(0, 5, (1, 17, 2)).astype(np.float32)
        as_found, smoothed = plain.update(found, frame / FPS), smooth.update(found, frame / FPS)
        np.testing.assert_array_equal(as_found.keypoints, found.keypoints)
    assert np.abs(smoothed.keypoints - found.keypoints).max() > 1
