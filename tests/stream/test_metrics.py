"""Figures that are shown to people and machines: they add up, and do not grow for ever."""

from __future__ import annotations

import pytest

from stream.metrics import BOUNDS, RECENT, REMOVED, Latencies, Meter, Metrics


def test_a_histogram_does_not_hold_every_latency() -> None:
    latencies = Latencies()
    for seconds in (0.001, BOUNDS[0], 0.3, 100.0):
        latencies.observe(seconds)
    counts, total = latencies.histogram()
    assert counts[0] == 2 and counts[BOUNDS.index(0.3)] == 3 and counts[-2:] == [3, 4]
    assert total == pytest.approx(100.301 + BOUNDS[0])


def test_percentiles_remember_what_is_long_over() -> None:
    latencies = Latencies()
    assert latencies.percentiles_ms() == (0.0, 0.0)
    latencies.observe(100.0)
    for _ in range(RECENT):
        latencies.observe(0.02)
    assert latencies.percentiles_ms() == pytest.approx((20.0, 20.0))


def test_a_meter_shows_the_rate_of_a_moment_long_ago_or_trembles() -> None:
    meter = Meter(window=1.0)
    meter.look(0, now=10.0)
    meter.look(20, now=10.5)
    assert meter.rate == 0.0
    meter.look(25, now=11.0)
    assert meter.rate == 25.0
    meter.look(25, now=12.0)
    assert meter.rate == 0.0


def test_counters_of_removed_streams_are_kept_for_ever_or_lost() -> None:
    metrics = Metrics()
    for i in range(100):
        metrics.count("frames", f"s{i}", 3)
        metrics.forget(f"s{i}")
    metrics.count("frames", "stays")
    assert metrics.counted("frames") == 301
    assert metrics.counts_of(REMOVED) == {"frames": 300}
    assert len(metrics._counts) == 2
