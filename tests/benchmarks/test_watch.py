"""What the chains of the benchmarks count: frames, people, lateness and drops of the stretch that counts."""

import json
from collections.abc import Iterator
from types import ModuleType

import pytest

from benchmarks.measure import CHAINS


@pytest.fixture
def chains(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The modules `watch` and `stopwatch`, as the programs beside them import them."""
    monkeypatch.syspath_prepend(CHAINS)
    import stopwatch
    import watch

    yield watch, stopwatch


def test_a_start_that_takes_long_counts_as_lateness_and_drops(
    chains: tuple[ModuleType, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, _ = chains
    now = 1000.0
    monkeypatch.setattr(watch.time, "time", lambda: now)
    seen = watch.Watch(streams=2, warm=1.0, seconds=2.0)
    seen.published("a", 990.0, now, 3)  # waited for the networks
    seen.look(dropped=50)
    seen.published("b", 999.0, now, 3)  # the last one to come: it counts from 1001 on
    for tick in range(1, 41):
        now = 1000.0 + tick / 10
        seen.published("a", now, now + 0.02, 4)
        seen.published("b", now, now + 0.03, 6)
        seen.look(dropped=50 if now < 1002 else 51)
    assert seen.over
    figures = seen.figures()
    assert figures["streams"] == 2
    assert figures["fps"] == pytest.approx(10)
    assert figures["p50_ms"] <= figures["p95_ms"] == pytest.approx(30)
    assert figures["dropped"] == 1
    assert figures["people_per_frame"] == 5


def test_streams_that_never_show_anything_are_measured(chains: tuple[ModuleType, ModuleType]) -> None:
    watch, _ = chains
    seen = watch.Watch(streams=1, warm=0.0, seconds=1.0)
    seen.look(dropped=7)
    assert not seen.over
    assert seen.figures() == {"streams": 1, "fps": 0.0, "dropped": 0}


def test_frames_that_warm_up_are_counted(
    chains: tuple[ModuleType, ModuleType], capsys: pytest.CaptureFixture[str]
) -> None:
    _, stopwatch = chains
    seen = stopwatch.Stopwatch(frames=10)
    for number in range(stopwatch.WARM):
        seen.count(people=100, at=float(number * 50))
    begin = (stopwatch.WARM - 1) * 50
    for number in range(1, 11):
        assert not seen.done
        seen.count(people=2, at=begin + number / 4)
    assert seen.done
    seen.show()
    assert json.loads(capsys.readouterr().out) == {"fps": 4.0, "people_per_frame": 2.0}


def test_a_video_that_is_too_short_gives_figures(chains: tuple[ModuleType, ModuleType]) -> None:
    _, stopwatch = chains
    seen = stopwatch.Stopwatch(frames=10)
    seen.count(people=1)
    with pytest.raises(SystemExit, match="too short: it has 1 frames"):
        seen.show()
