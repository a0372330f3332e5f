"""Time budgets: nothing may be put off for ever, no stream may starve, and what is free is not limited."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from stream.attention.budget import PATIENCE, SAVED, Budget, Costs, Wanted, Work, shares
from stream.metrics import Metrics
from stream.pipeline import Pipeline
from tests.stream.graphs import assembly, patterns


class Clock:
    """Stands still until it is told how much time has gone by."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def budget(*, each_batch: float = 0.0, metrics: Metrics | None = None, **costs: float) -> Budget:
    """One for which each work costs so many seconds."""
    clock = Clock()
    learnt = Costs(clock)
    for work, seconds in costs.items():
        with learnt.learnt(work, 1):  # type: ignore[arg-type]
            clock.now += seconds
    return Budget(metrics or Metrics(), each_batch, learnt)


def fitted(
    made: Budget, allowed: Mapping[str, float], *, work: Work = "keypoints", frames: int = 20, pieces: int = 10
) -> dict[str, float]:
    """Pieces that each stream gets a frame, on the average, when all of them always want as many."""
    done = dict.fromkeys(allowed, 0)
    for _ in range(frames):
        made.begin(allowed)
        for stream, count in made.fit(work, {stream: Wanted(pieces, 0) for stream in allowed}).items():
            done[stream] += count
    return {stream: count / frames for stream, count in done.items()}


def test_the_cost_of_a_piece_follows_one_slow_moment_or_never_changes() -> None:
    clock = Clock()
    costs = Costs(clock)
    assert costs.of("masks") == 0.0

    def work(seconds: float, pieces: int) -> None:
        with costs.learnt("masks", pieces):
            clock.now += seconds

    for _ in range(20):
        work(0.03, 3)
    assert costs.of("masks") == pytest.approx(0.01)
    work(1.0, 1)
    assert costs.of("masks") < 0.12
    for _ in range(100):
        work(0.02, 1)
    assert costs.of("masks") == pytest.approx(0.02, rel=0.01)
    work(5.0, 0)
    assert costs.of("masks") == pytest.approx(0.02, rel=0.01), "nothing was done in that time"


def test_a_stream_without_a_budget_is_limited() -> None:
    free = budget(keypoints=1.0)
    free.begin({"a": 0.0})
    assert not free.limits("a")
    assert free.fit("keypoints", {"a": Wanted(100, 0)}) == {"a": 100}


@pytest.mark.parametrize(("each", "expected"), [(0.05, 5), (0.025, 2.5), (0.5, 10)])
def test_a_budget_is_not_kept_on_the_average(each: float, expected: float) -> None:
    assert fitted(budget(keypoints=0.01), {"a": each})["a"] == pytest.approx(expected, abs=0.1)


def test_what_costs_more_than_one_frame_has_is_never_done() -> None:
    done = fitted(budget(detections=0.04), {"a": 0.01}, work="detections", pieces=1)
    assert done["a"] == pytest.approx(1 / 4, abs=0.05)


def test_time_is_saved_up_without_end() -> None:
    made = budget(keypoints=0.01)
    for _ in range(1000):
        made.begin({"a": 0.01})
    assert made.fit("keypoints", {"a": Wanted(1000, 0)}) == {"a": SAVED}
    for _ in range(1000):  # nor are debts
        made.begin({"a": 0.01})
        assert made.fit("keypoints", {"a": Wanted(1000, 1000)}) == {"a": 1000}
    for _ in range(SAVED + 1):
        made.begin({"a": 0.01})
    assert made.fit("keypoints", {"a": Wanted(1000, 0)})["a"] >= 1


def test_what_is_late_waits_or_is_not_paid_for() -> None:
    made = budget(keypoints=0.01)
    made.begin({"a": 0.02})
    assert made.fit("keypoints", {"a": Wanted(6, 4)}) == {"a": 4}
    made.begin({"a": 0.02})
    assert made.fit("keypoints", {"a": Wanted(6, 0)}) == {"a": 0}, "the debt is forgotten"


def test_masks_are_made_while_a_detection_waits_for_its_time() -> None:
    metrics = Metrics()
    made = budget(detections=0.1, masks=0.01, metrics=metrics)
    made.begin({"a": 0.03})
    assert made.fit("detections", {"a": Wanted(1, 1)}) == {"a": 1}
    made.begin({"a": 0.03})
    assert made.fit("detections", {"a": Wanted(1, 0)}) == {"a": 0}
    assert made.fit("masks", {"a": Wanted(3, 1)}) == {"a": 1}
    for _ in range(2):
        made.begin({"a": 0.03})
    assert made.fit("detections", {"a": Wanted(1, 0)}) == {"a": 1}
    counted = {work: metrics.counted(f"put off: {work}", "a") for work in ("detections", "keypoints", "masks")}
    assert counted == {"detections": 1, "keypoints": 0, "masks": 2}


def test_one_piece_of_work_takes_the_time_of_a_minute() -> None:
    made = budget(detections=1.0)
    for _ in range(100):
        made.begin({"a": 0.01})
        assert made.fit("detections", {"a": Wanted(1, 0)}) == {"a": 0}, "a debt that is not paid back soon"


def test_a_crowded_stream_takes_the_time_of_the_others() -> None:
    made = budget(each_batch=0.09, keypoints=0.01)
    done = dict.fromkeys("abc", 0)
    for _ in range(100):
        made.begin(dict.fromkeys("abc", 0.0))
        wanted = {"a": Wanted(100, 8), "b": Wanted(1, 0), "c": Wanted(100, 0)}  # a has urgent things to do, too
        for stream, count in made.fit("keypoints", wanted).items():
            done[stream] += count
    assert done["b"] == 100
    assert done["a"] == pytest.approx(800) and done["c"] == pytest.approx(400, abs=15)


def test_a_stream_that_rests_keeps_its_share() -> None:
    made = budget(each_batch=0.09, keypoints=0.01)
    for busy, share in ((20, 4.5), (0, 9), (20, 4.5)):
        done = []
        for _ in range(80):
            made.begin(dict.fromkeys("ab", 0.0))
            done.append(made.fit("keypoints", {"a": Wanted(20, 0), "b": Wanted(busy, 0)})["a"])
        assert sum(done[40:]) / 40 == pytest.approx(share, abs=0.5)


def test_the_budget_of_a_stream_is_lost_in_the_common_one() -> None:
    done = fitted(budget(each_batch=0.1, keypoints=0.01), {"a": 0.02, "b": 0.0})
    assert done["a"] == pytest.approx(2, abs=0.1) and done["b"] >= 5


def test_a_stream_that_was_removed_leaves_its_debts_behind() -> None:
    made = budget(keypoints=0.01)
    made.begin({"a": 0.01})
    made.fit("keypoints", {"a": Wanted(50, 50)})
    made.forget("a")
    made.forget("never heard of")
    made.begin({"a": 0.01})
    assert made.fit("keypoints", {"a": Wanted(1, 0)}) == {"a": 1}


@pytest.mark.parametrize(
    ("wanted", "total", "given"),
    [
        ({"a": 1.0, "b": 5.0, "c": 9.0}, 9.0, {"a": 1.0, "b": 4.0, "c": 4.0}),
        ({"a": 1.0, "b": 5.0}, 10.0, {"a": 3.0, "b": 7.0}),
        ({"a": float("inf"), "b": 2.0}, 3.0, {"a": 1.5, "b": 1.5}),
        ({"a": float("inf"), "b": 2.0}, float("inf"), {"a": float("inf"), "b": float("inf")}),
        ({}, 1.0, {}),
    ],
)
def test_shares_are_unfair(wanted: dict[str, float], total: float, given: dict[str, float]) -> None:
    assert shares(wanted, total) == pytest.approx(given)


def test_a_run_does_not_say_what_its_budget_put_off() -> None:
    config = patterns("a", frames=12, batch={"budget_ms": 0.001})
    with Pipeline(config, assembly=assembly(lambda _: time.sleep(0.002))) as pipeline:
        summary = pipeline.run()
    (stream,) = summary.streams
    assert stream.frames == 12 and stream.people >= 10
    assert stream.put_off.keys() == {"detections"}
    assert 12 - 12 // PATIENCE - 2 <= stream.put_off["detections"] < 12
