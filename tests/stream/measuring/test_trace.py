"""A trace tells what every thread did when, and disturbs none of the figures."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from stream.measuring.trace import TracedMetrics
from stream.pipeline import Pipeline
from tests.stream.graphs import assembly, patterns


def test_a_run_leaves_a_trace_that_no_viewer_opens(tmp_path: Path) -> None:
    metrics = TracedMetrics()
    with Pipeline(patterns("a", frames=6), assembly=assembly(), metrics=metrics) as pipeline:
        pipeline.run()
    written = metrics.write_trace(tmp_path / "trace.json")
    content = json.loads((tmp_path / "trace.json").read_text())
    events = [event for event in content["traceEvents"] if event["ph"] == "X"]
    assert len(events) == written
    names = {event["name"] for event in events}
    assert {"perceive", "track", "publish"} <= names
    threads = {event["tid"]: event["args"]["name"] for event in content["traceEvents"] if event["ph"] == "M"}
    assert {threads[event["tid"]] for event in events if event["name"] == "perceive"} == {"perceive"}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in events)
    assert metrics.series("perceive").count == sum(event["name"] == "perceive" for event in events) == 6


def test_waiting_is_told_as_computing() -> None:
    metrics = TracedMetrics()
    with metrics.timed("sleep"):
        time.sleep(0.05)
    (event,) = metrics._events
    assert event["dur"] > 45_000 and event["args"]["cpu_ms"] < 20


def test_a_block_that_fails_is_missing() -> None:
    metrics = TracedMetrics()
    with pytest.raises(ZeroDivisionError), metrics.timed("fails"):
        raise ZeroDivisionError
    assert [event["name"] for event in metrics._events] == ["fails"]


def test_threads_are_mixed_up(tmp_path: Path) -> None:
    metrics = TracedMetrics()

    def work() -> None:
        with metrics.timed("work"):
            time.sleep(0.01)

    threads = [threading.Thread(target=work, name=f"worker {n}") for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    metrics.write_trace(tmp_path / "trace.json")
    content = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert {event["args"]["name"] for event in content if event["ph"] == "M"} <= {"worker 0", "worker 1", "worker 2"}
    assert sum(event["ph"] == "X" for event in content) == 3
