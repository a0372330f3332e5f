"""When the next attempt is made."""

from __future__ import annotations

import pytest

from stream.sources.backoff import AFTER_REFUSED_CREDENTIALS, FIRST, HEALTHY, LONGEST, Backoff


def test_a_camera_that_is_off_is_hammered_or_forgotten() -> None:
    backoff = Backoff(seed=1)
    waits = [backoff.next("refused", 0.0) for _ in range(20)]
    assert waits[0] <= FIRST and all(0.5 * LONGEST <= wait <= LONGEST for wait in waits[5:])


def test_cameras_behind_one_switch_come_back_in_step() -> None:
    assert len({Backoff(seed).next("refused", 0.0) for seed in range(20)}) == 20


@pytest.mark.parametrize("lasted", [0.0, 3600.0])
def test_wrong_credentials_lock_an_account_out(lasted: float) -> None:
    backoff = Backoff()
    assert [backoff.next("auth", lasted) for _ in range(3)] == [AFTER_REFUSED_CREDENTIALS] * 3


def test_one_break_after_a_good_day_waits_as_long_as_the_last_of_many() -> None:
    backoff = Backoff()
    for _ in range(10):
        backoff.next("ended", 0.0)
    assert backoff.next("ended", HEALTHY) <= FIRST


def test_a_connection_that_flaps_is_hurried_after() -> None:
    backoff = Backoff()
    assert [backoff.next("ended", HEALTHY / 10) for _ in range(10)][-1] >= 0.5 * LONGEST
