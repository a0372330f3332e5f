"""The tracker: ids that hold, and frames, times and people of all kinds."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from stream.config import TrackConfig
from stream.tracking import Tracker
from stream.types import Mask, People
from tests.stream.tracking.scenes import FRAME, crowd, people, person

FPS = 10.0


def _ids(result: People) -> list[int]:
    return [int(one) for one in result.ids]


def _walk(tracker: Tracker, frames: int, *, start: int = 0, x: float = 100.0, speed: float = 100.0) -> People:
    """Somebody walks for some frames; the last result."""
    for frame in range(start, start + frames):
        result = tracker.update(people(person(x + speed * frame / FPS, 500)), frame / FPS)
    return result


def test_ids_do_not_leak_between_streams() -> None:
    together = [Tracker(TrackConfig()) for _ in range(2)]
    alone = Tracker(TrackConfig())
    for (time, first, *_), (_, second, *_) in zip(crowd(1, frames=50), crowd(2, frames=50), strict=True):
        expected = alone.update(first, time)
        result, other = together[0].update(first, time), together[1].update(second, time)
        np.testing.assert_array_equal(result.ids, expected.ids)
        np.testing.assert_array_equal(result.boxes, expected.boxes)
        assert 1 in other.ids or time > 1


def test_a_new_epoch_begins_with_id_1_and_without_old_people() -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 5)
    tracker.reset()
    assert len(tracker) == 0
    assert _ids(_walk(tracker, 2)) == [1]


def test_an_id_is_not_lost_through_an_occlusion_of_one_second() -> None:
    tracker = Tracker(TrackConfig())
    assert _ids(_walk(tracker, 20)) == [1]
    for frame in range(20, 30):
        assert not len(tracker.update(people(), frame / FPS))
    assert _ids(_walk(tracker, 5, start=30)) == [1]


def test_somebody_who_walks_behind_another_keeps_the_id_by_low_scores() -> None:
    def scene(frame: int, low: bool) -> People:
        found = people(person(400 + 20 * frame, 500), person(800, 510))
        return replace(found, scores=np.array([0.2 if low else 0.9, 0.9], np.float32))

    tracker = Tracker(TrackConfig())
    results = [tracker.update(scene(frame, low=12 <= frame < 28), frame / FPS) for frame in range(40)]
    assert all(_ids(result) == [1, 2] for result in results)


@pytest.mark.parametrize(("weight", "ids"), [(0.7, [1, 2]), (0.0, [2, 1])])
def test_two_who_meet_and_turn_back_do_not_swap_ids_as_keypoints_decide(weight: float, ids: list[int]) -> None:
    # The boxes alone cannot tell this from two who pass each other, which is what the filter expects.
    tracker = Tracker(TrackConfig(keypoint_weight=weight))
    for frame in range(41):
        apart = 10.0 * abs(frame - 20)
        found = people(person(500 - apart, 500, pose=1), person(504 + apart, 500, pose=2))
        result = tracker.update(found, frame / FPS)
    assert _ids(result) == ids


def test_two_who_pass_each_other_do_not_swap_ids() -> None:
    tracker = Tracker(TrackConfig())
    for frame in range(41):
        x = 10.0 * frame
        result = tracker.update(people(person(300 + x, 500, pose=1), person(700 - x, 520, pose=2)), frame / FPS)
    assert _ids(result) == [1, 2]


def test_memory_does_not_grow_over_10_000_frames_of_births() -> None:
    tracker = Tracker(TrackConfig(max_tracks=40))
    largest, random = 0, np.random.default_rng(0)
    for frame in range(10_000):
        # a new person every other frame, seen twice, so that everybody becomes a track that is remembered
        x, y = np.random.default_rng(frame // 2).uniform((100, 150), (1800, 900))
        tracker.update(people(person(x, y, height=random.uniform(99, 101))), frame / 100)
        largest = max(largest, len(tracker))
    assert largest <= 41


def test_more_people_than_tracks_are_said_aloud_and_not_remembered(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(TrackConfig(max_tracks=3))
    row = people(*(person(200 * n + 150, 500, pose=n) for n in range(8)))
    with caplog.at_level(logging.WARNING):
        for frame in range(5):
            result = tracker.update(row, frame / FPS)
    assert _ids(result) == [1, 2, 3]
    assert "More than 3 tracks" in caplog.text


def test_jitter_of_the_frame_times_does_not_bend_velocity() -> None:
    random, tracker, time = np.random.default_rng(0), Tracker(TrackConfig()), 0.0
    errors = []
    for frame in range(60):
        time += random.choice([0.02, 0.1, 0.25])
        result = tracker.update(people(person(100 + 80 * time, 500 - 30 * time)), time)
        if frame > 20:
            errors.append(np.abs(result.velocity[0] - (80, -30)).max())
    assert max(errors) < 1.0


def test_the_box_of_a_walker_does_not_lag() -> None:
    result = _walk(Tracker(TrackConfig()), 30)
    np.testing.assert_allclose(result.boxes[0], person(100 + 290, 500)[0], atol=0.5)


def test_a_clock_that_runs_back_does_not_end_tracks_or_let_them_live_on() -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 20)
    assert _ids(tracker.update(people(person(290, 500)), -3600.0)) == [1]
    for frame in range(1, 31):
        tracker.update(people(), -3600.0 + frame / FPS)
    assert len(tracker) == 0


def test_a_repeated_timestamp_neither_moves_nor_hides_anybody() -> None:
    tracker = Tracker(TrackConfig())
    first = _walk(tracker, 20)
    again = tracker.update(people(person(100 + 190, 500)), 1.9)
    assert _ids(again) == [1]
    np.testing.assert_allclose(again.boxes, first.boxes, atol=1.0)
    assert not len(tracker.update(people(), 1.9))


def test_after_a_long_gap_nobody_inherits_an_id() -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 20)
    assert _ids(tracker.update(people(person(290, 500)), 100.0)) == [2]


@pytest.mark.parametrize("time", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_refused_and_changes_nothing(time: float) -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 5)
    with pytest.raises(ValueError, match="finite number of seconds"):
        tracker.update(people(person(150, 500)), time)
    assert _ids(_walk(tracker, 1, start=5)) == [1]


def test_the_people_of_a_single_picture_are_not_withheld() -> None:
    assert _ids(Tracker(TrackConfig()).update(people(person(300, 500), person(900, 500)), 0.0)) == [1, 2]


def test_a_false_alarm_of_one_frame_is_not_published_and_takes_no_id() -> None:
    tracker = Tracker(TrackConfig())
    tracker.update(people(), 0.0)
    assert not len(tracker.update(people(person(300, 500)), 0.1))
    assert not len(tracker.update(people(), 0.2))
    assert not len(tracker.update(people(person(900, 500)), 0.3))
    assert _ids(tracker.update(people(person(900, 500)), 0.4)) == [1]


def test_low_scores_do_not_begin_a_track() -> None:
    tracker = Tracker(TrackConfig())
    for frame in range(10):
        assert not len(tracker.update(people(person(300, 500), score=0.5), frame / FPS))
    assert len(tracker) == 0


@pytest.mark.parametrize("seed", range(4))
def test_somebody_who_counts_is_not_heeded(seed: int) -> None:
    """Whoever is not heeded could as well be missing: found by chance, with scores of all kinds."""
    dice = np.random.default_rng(seed)
    whole, thin, left_out = Tracker(TrackConfig()), Tracker(TrackConfig()), 0
    for time, seen, *_ in crowd(seed, frames=60):
        found = replace(seen, scores=dice.uniform(0.02, 1, len(seen)).astype(np.float32))
        found = found[dice.random(len(found)) < 0.8]
        heeded = thin.heeds(found.boxes, found.scores, time)
        left_out += int((~heeded).sum())
        expected, result = whole.update(found, time), thin.update(found[heeded], time)
        np.testing.assert_array_equal(result.ids, expected.ids)
        np.testing.assert_array_equal(result.boxes, expected.boxes)
        np.testing.assert_array_equal(result.keypoints, expected.keypoints)
    assert left_out > 20


def test_an_empty_or_infinite_box_is_warned_of_before_its_keypoints_are_looked_at() -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 5)
    boxes = np.array([[10, 10, 10, 10], [np.inf] * 4, [0, 0, np.inf, np.inf], [120, 300, 190, 500]], np.float32)
    with np.errstate(all="raise"):
        tracker.heeds(boxes, np.full(4, 0.3, np.float32), 0.5)


def test_somebody_fast_is_looked_for_where_he_was() -> None:
    tracker = Tracker(TrackConfig())
    _walk(tracker, 8, speed=600.0)  # most of the width of a box from frame to frame
    faint = people(person(100 + 600 * 0.8, 500), person(100 + 600 * 0.7, 500), score=0.4)
    assert tracker.heeds(faint.boxes, faint.scores, 0.8).tolist() == [True, False]
    expected = tracker.expected(0.8)
    assert expected is not None and abs(expected.boxes[0, 0] - faint.boxes[0, 0]) < 20


def test_frames_without_people_and_with_a_hundred_are_no_trouble() -> None:
    tracker = Tracker(TrackConfig())
    hundred = people(*(person(190 * (n % 10) + 100, 105 * (n // 10) + 60, height=100, pose=n) for n in range(100)))
    for frame in range(0, 12, 4):
        assert not len(tracker.update(People.none(FRAME), frame / FPS))
        for more in (1, 2, 3):
            result = tracker.update(hundred, (frame + more) / FPS)
        assert len(set(_ids(result))) == 100


def test_a_box_that_is_not_finite_spoils_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    tracker = Tracker(TrackConfig())
    bad = people(person(300, 500), person(600, 500), person(900, 500), person(1200, 500))
    bad.boxes[1], bad.boxes[2, 2], bad.boxes[3, 2] = np.nan, np.inf, bad.boxes[3, 0]
    for frame in range(3):
        result = tracker.update(bad, frame / FPS)
    assert _ids(result) == [1]
    assert np.isfinite(result.boxes).all()
    assert "Dropped 3 people" in caplog.text


def test_keypoints_scores_and_masks_stay_with_their_person() -> None:
    masks = tuple(Mask.encode(np.ones((4, 4 + n), np.bool_), (n, n)) for n in range(3))
    persons = [person(300 * n + 200, 500, pose=n) for n in range(3)]
    tracker = Tracker(TrackConfig())
    tracker.update(people(*persons), 0.0)
    order = [2, 0, 1]
    found = replace(
        people(*(persons[n] for n in order)),
        masks=tuple(masks[n] for n in order),
        scores=np.array([0.9, 0.3, 0.8], np.float32),
    )
    result = tracker.update(found, 0.1)
    assert _ids(result) == [3, 1, 2]
    assert result.masks == found.masks
    np.testing.assert_array_equal(result.scores, found.scores)
    np.testing.assert_array_equal(result.keypoints, found.keypoints)
    assert result.frame_size == FRAME


def test_the_input_is_not_changed() -> None:
    tracker, found = Tracker(TrackConfig()), people(person(300, 500))
    before = {name: getattr(found, name).copy() for name in ("boxes", "scores", "keypoints", "ids", "velocity")}
    for frame in range(3):
        tracker.update(found, frame / FPS)
    for name, value in before.items():
        np.testing.assert_array_equal(getattr(found, name), value)


def test_a_hidden_person_is_published_as_predicted_only_where_asked_and_not_for_ever() -> None:
    tracker = Tracker(TrackConfig(predict_seconds=0.35))
    _walk(tracker, 20)
    counts = []
    for frame in range(20, 28):
        result = tracker.update(people(), frame / FPS)
        counts.append(len(result))
        if len(result):
            assert _ids(result) == [1]
            assert result.predicted.all()
            assert not result.keypoints[:, :, 2].any()
            np.testing.assert_allclose(result.boxes[0], person(100 + 10 * frame, 500)[0], atol=2)
    assert counts == [1, 1, 1, 0, 0, 0, 0, 0]


def test_nobody_is_predicted_outside_of_the_frame() -> None:
    tracker = Tracker(TrackConfig(predict_seconds=1.0))
    _walk(tracker, 10, x=1750, speed=150)
    assert len(tracker.update(people(), 1.0))
    assert not len(tracker.update(people(), 1.4))


def test_predicted_people_do_not_shift_the_masks_of_the_seen() -> None:
    tracker = Tracker(TrackConfig(predict_seconds=1.0))
    mask = Mask.encode(np.ones((4, 4), np.bool_), (0, 0))
    both = replace(people(person(300, 500), person(900, 500)), masks=(mask, None))
    for frame in range(5):
        tracker.update(both, frame / FPS)
    result = tracker.update(replace(people(person(300, 500)), masks=(mask,)), 0.5)
    assert _ids(result) == [1, 2]
    assert result.masks == (mask, None)
    assert result.predicted.tolist() == [False, True]


def test_people_without_keypoints_are_followed_by_their_boxes() -> None:
    tracker = Tracker(TrackConfig())
    for frame in range(30):
        found = people(person(300 + 10 * frame, 500), person(900 - 10 * frame, 540))
        found.keypoints[:, :, 2] = 0.0
        result = tracker.update(found, frame / FPS)
    assert _ids(result) == [1, 2]
