"""Time stamps that are missing, fall back, repeat or start again."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.sources.timeline import CaptureClock, RateCap, Timeline


def place(pts: list[float | None], fps: float = 10) -> list[float]:
    timeline = Timeline()
    timeline.restart(fps)
    return [timeline.place(each).pts for each in pts]


@given(st.lists(st.none() | st.floats(-1e5, 1e5), min_size=2, max_size=50))
def test_time_never_stands_still_and_never_falls_back(pts: list[float | None]) -> None:
    placed = place(pts)
    assert all(later > earlier for earlier, later in itertools.pairwise(placed))


def test_good_time_stamps_are_left_alone() -> None:
    assert place([1.4, 1.5, 1.65, 9.0]) == [1.4, 1.5, 1.65, 9.0]


def test_missing_time_stamps_are_filled_from_the_rate() -> None:
    assert place([None, None, 0.2, None, 0.4]) == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_repeated_time_stamp_does_not_shift_those_behind_it() -> None:
    placed = place([0.0, 0.1, 0.1, 0.2, 0.15, 0.3])
    assert placed == pytest.approx([0.0, 0.1, 0.1, 0.2, 0.2, 0.3], abs=2e-3)


def test_a_clock_that_starts_again_bends_the_time_line_once_and_keeps_its_steps() -> None:
    placed = place([100.0, 100.1, 0.0, 0.1, 0.35])
    assert placed == pytest.approx([100.0, 100.1, 100.2, 100.3, 100.55])


def test_every_pass_starts_its_own_media_time_and_the_elapsed_time_goes_on() -> None:
    timeline = Timeline()
    moments = []
    for _ in range(2):
        timeline.restart(10)
        moments += [timeline.place(pts) for pts in (5.0, 5.1)]
    assert [moment.pts for moment in moments] == [5.0, 5.1, 5.0, 5.1]
    assert [moment.elapsed for moment in moments] == pytest.approx([0.0, 0.1, 0.2, 0.3])


@given(st.floats(0.5, 60), st.floats(1, 120))
def test_the_cap_is_never_exceeded_over_a_minute(cap: float, fps: float) -> None:
    admits = RateCap(cap).admits
    kept = sum(admits(i / fps) for i in range(round(60 * fps)))
    assert kept <= 60 * cap + 2
    assert kept >= min(60 * cap, 60 * fps) * 0.7 - 2


def test_no_cap_admits_everything() -> None:
    admits = RateCap(0).admits
    assert all(admits(moment) for moment in (0.0, 0.0, 1e-9, 5.0))


def test_a_camera_with_a_clock_is_timed_by_it() -> None:
    clock = CaptureClock(1000.0, 5.0, arrived=1005.3)
    assert clock.clock == "ntp"
    captured = [clock.captured(5.0 + i / 10, 1005.3 + i / 10 + (i % 3) / 50) for i in range(10)]
    assert captured == pytest.approx([1005.0 + i / 10 for i in range(10)]), "the jitter of the network is not in it"


@pytest.mark.parametrize("jump", [-500.0, 500.0])
def test_pts_that_jump_take_the_cameras_clock_along(jump: float) -> None:
    clock = CaptureClock(1000.0, 5.0, arrived=1005.3)
    pts = [5.0, 5.1, 5.2 + jump, 5.3 + jump]
    captured = [clock.captured(at, 1005.3 + i / 10) for i, at in enumerate(pts)]
    assert captured == pytest.approx([1005.0, 1005.1, 1005.2, 1005.3])


@pytest.mark.parametrize(
    ("realtime", "pts"), [(None, 5.0), (1000.0, None), (1e6, 5.0)], ids=["none", "no pts", "unset"]
)
def test_a_camera_whose_clock_was_never_set_is_believed(realtime: float | None, pts: float | None) -> None:
    clock = CaptureClock(realtime, pts, arrived=1005.3)
    assert clock.clock == "arrival"
    assert clock.captured(pts, 1005.3) == 1005.3


def test_two_pictures_that_arrive_at_once_have_one_time() -> None:
    clock = CaptureClock(None, None, arrived=10.0)
    assert clock.captured(None, 10.0) < clock.captured(None, 10.0)
