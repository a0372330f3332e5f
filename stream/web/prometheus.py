"""The figures of a run in the form that Prometheus reads; `docs/operating.md` lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from models.backends import Choice
from models.zoo import Role
from stream.attention.budget import PUT_OFF, Work
from stream.metrics import BOUNDS, OUT_OF_MEMORY, Metrics
from stream.sources.faults import Fault
from stream.sources.nvdec import Fallback
from stream.state import REASONS, Health, StreamState
from stream.web.observed import Observed

NOT_STAGES = ("latency",)
"""Series of `Metrics` that are no stage of the graph."""


def exposition(target: Observed) -> bytes:
    """The figures of now, in Prometheus' text format; in a registry of their own, beside no other of this process."""
    registry = CollectorRegistry()
    registry.register(_Figures(target))
    return generate_latest(registry)


class _Figures(Collector):
    """Asks for the figures when they are asked for, so that a stream that left leaves no label behind."""

    def __init__(self, target: Observed) -> None:
        self._target = target

    def collect(self) -> Iterable[Metric]:
        """Every figure, once."""
        streams = dict(self._target.streams)
        yield from _counters(streams, self._target.metrics)
        yield from _gauges(streams)
        yield _latency(streams)
        yield from _stages(self._target.metrics)
        yield from _networks(self._target.choices)


def _counters(streams: dict[str, StreamState], metrics: Metrics) -> Iterable[Metric]:
    read = CounterMetricFamily("peoplestream_frames_read", "Frames that came from the source.", labels=["stream"])
    out = CounterMetricFamily("peoplestream_frames_published", "Frames whose result was published.", labels=["stream"])
    drops = CounterMetricFamily("peoplestream_frames_dropped", "Frames lost on the way.", labels=["stream", "reason"])
    again = CounterMetricFamily("peoplestream_reconnects", "Times a feed was connected again.", labels=["stream"])
    faults = CounterMetricFamily(
        "peoplestream_source_faults", "Times a feed was lost or not reached, by kind.", labels=["stream", "kind"]
    )
    overruns = CounterMetricFamily(
        "peoplestream_subscriber_overruns", "Times a subscriber was too slow and lost messages.", labels=["stream"]
    )
    waits = CounterMetricFamily("peoplestream_put_off", "Work that a budget put off.", labels=["stream", "work"])
    fallbacks = CounterMetricFamily(
        "peoplestream_decode_fallbacks",
        "Times that the processor decoded what the GPU was to decode, by reason.",
        labels=["stream", "kind"],
    )
    for id_, state in streams.items():
        read.add_metric([id_], state.taken)
        out.add_metric([id_], state.delivered)
        again.add_metric([id_], state.reconnects)
        overruns.add_metric([id_], metrics.counted("subscriber overrun", id_))
        for work in get_args(Work):
            waits.add_metric([id_, work], metrics.counted(PUT_OFF + work, id_))
        # every reason and kind, also with 0: a rise from nothing to 1 is none to Prometheus
        for reason, frames in {**dict.fromkeys(REASONS, 0), **state.dropped}.items():
            drops.add_metric([id_, reason], frames)
        for kind, times in {**dict.fromkeys(get_args(Fault) if state.live else (), 0), **state.disconnections}.items():
            faults.add_metric([id_, kind], times)
        for kind, times in {**dict.fromkeys(get_args(Fallback), 0), **state.fallbacks}.items():
            fallbacks.add_metric([id_, kind], times)
    return read, out, drops, again, faults, fallbacks, overruns, waits


def _gauges(streams: dict[str, StreamState]) -> Iterable[Metric]:
    fps = GaugeMetricFamily("peoplestream_fps", "Frames per second, lately.", labels=["stream", "direction"])
    queue = GaugeMetricFamily("peoplestream_queue_frames", "Decoded frames that wait.", labels=["stream"])
    people = GaugeMetricFamily("peoplestream_people", "People in the newest frame.", labels=["stream"])
    health = GaugeMetricFamily("peoplestream_stream_state", "1 for the state it is in.", labels=["stream", "state"])
    for id_, state in streams.items():
        fps.add_metric([id_, "in"], state.fps_in.rate)
        fps.add_metric([id_, "out"], state.fps_out.rate)
        queue.add_metric([id_], len(state.inbox))
        people.add_metric([id_], state.people)
        now = state.health
        for name in get_args(Health):
            health.add_metric([id_, name], float(name == now))
    return fps, queue, people, health


def _networks(choices: Mapping[str, Choice]) -> Iterable[Metric]:
    info = GaugeMetricFamily(
        "peoplestream_network_info", "1; how a network runs.", labels=["network", "backend", "precision", "device"]
    )
    refused = GaugeMetricFamily(
        "peoplestream_backend_refused", "1; why another does not run it.", labels=["network", "backend", "reason"]
    )
    for name, choice in choices.items():
        info.add_metric([name, choice.backend, choice.precision, choice.device], 1)
        for attempt in choice.refused:
            backend, _, reason = attempt.partition(": ")
            refused.add_metric([name, backend, reason], 1)
    return info, refused


def _latency(streams: dict[str, StreamState]) -> Metric:
    family = HistogramMetricFamily(
        "peoplestream_latency_seconds",
        "From capture to publication; of a file, from the decoded frame.",
        labels=["stream"],
    )
    for id_, state in streams.items():
        counts, total = state.latencies.histogram()
        bounds = [*map(str, BOUNDS), "+Inf"]
        family.add_metric([id_], list(zip(bounds, counts, strict=True)), total)
    return family


def _stages(metrics: Metrics) -> Iterable[Metric]:
    stages = SummaryMetricFamily("peoplestream_stage_seconds", "Time in a stage of the graph.", labels=["stage"])
    for name in metrics.names():
        if name not in NOT_STAGES:
            series = metrics.series(name)
            stages.add_metric([name], series.count, series.total_ms / 1e3)
    batches = SummaryMetricFamily(
        "peoplestream_batch_frames",
        "Frames that went through the networks together.",
        metrics.counted("batches"),
        metrics.counted("batched frames"),
    )
    memory = CounterMetricFamily(
        "peoplestream_out_of_memory", "Batches that did not fit into a GPU's memory.", labels=["network"]
    )
    for role in get_args(Role):
        memory.add_metric([role], metrics.counted(OUT_OF_MEMORY + role))
    return stages, batches, memory
