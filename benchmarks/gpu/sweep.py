"""How many streams of 30 frames a second are held: decoded, detected, posed, tracked and delivered in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gpu.outcome import FailedError, Figures, Setting
from benchmarks.gpu.video import FPS, clip
from models.backends import Input, probe
from models.tasks import TensorRunner
from stream.assembly import Assembly, assemble
from stream.config import Config
from stream.metrics import Latencies, Metrics
from stream.pipeline import Pipeline

COUNTS = (1, 2, 4, 8, 16, 32, 64, 100, 150, 200)
"""Streams; 148 is what DeepStream 7 is published to hold on an H100, with a lighter task."""

HELD = 0.98
"""Of the frames of every stream that have to be delivered."""

START = 30.0
"""Seconds in which every stream has to deliver its first result: decoders are made one after the other."""

WARM_UP, MEASURED = 2.0, 5.0
"""Seconds: with every stream running until the measurement begins, and of the measurement."""

ROWS = (32, 16, 8, 4, 2, 1)
"""Batches that every network sees before the first measurement: one of a new size stops a run for a moment."""


def pipeline(setting: Setting) -> Figures:
    """The most streams that are held, with p95 of the latency under the limit; and why the next number is not."""
    path = clip(setting.folder)
    assembly = prepared(path)
    return swept(lambda streams: step(path, assembly, streams), COUNTS, setting.latency_ms) | ways(assembly)


def prepared(path: Path) -> Assembly:
    """The default networks, each of which has seen all sizes of batches."""

    def warmed(_: str, runner: TensorRunner, inputs: tuple[Input, ...]) -> TensorRunner:
        for rows in ROWS:
            runner(*probe(inputs, rows))
        return runner

    return assemble(_config(path, 1), Metrics(), wrap=warmed)


def ways(assembly: Assembly) -> Figures:
    """How the networks run."""
    return {"networks": {role: f"{choice.backend}, {choice.precision}" for role, choice in assembly.choices.items()}}


def swept(measure: Callable[[int], Figures], counts: Sequence[int], latency_ms: float) -> Figures:
    """The figures of each number of streams until one is not held.

    Args:
        measure: takes a number of streams, see `step`.

    Raises:
        FailedError: not even the first is.
    """
    steps: list[Figures] = []
    for count in counts:
        steps.append(measure(count))
        if steps[-1]["delivered"] < HELD or steps[-1]["latency_ms_p95"] > latency_ms:
            break
    held = [of["streams"] for of in steps if of["delivered"] >= HELD and of["latency_ms_p95"] <= latency_ms]
    figures: Figures = {
        "streams_held": max(held, default=0),
        "fps_of_each": FPS,
        "latency_limit_ms": latency_ms,
        "latency": "p95 from a decoded frame to its delivered result, of the worst stream",
        "steps": steps,
    }
    if not held:
        raise FailedError(f"not even {counts[0]} stream of {FPS} frames a second is held", figures)
    return figures


def step(
    path: Path,
    assembly: Assembly,
    streams: int,
    seconds: tuple[float, float] = (WARM_UP, MEASURED),
    meet: Callable[[], object] = lambda: None,
) -> Figures:
    """So many streams at once, looped in real time, of which frames are dropped that come too late.

    Args:
        seconds: with every stream running until the measurement begins, and of the measurement.
        meet: called once every stream runs, and after the measurement: others may have to be waited for.
    """
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    moments: list[float] = []  # every stream runs; the measurement begins; it is over
    with Pipeline(_config(path, streams), assembly=assembly) as running:

        def look() -> None:
            now, states = time.monotonic(), running.streams
            if not moments:
                if all(state.delivered for state in states.values()):
                    meet()
                    moments.append(time.monotonic())
            elif not before and now - moments[0] >= seconds[0]:
                before.update({id_: state.delivered for id_, state in states.items()})
                for state in states.values():
                    state.latencies = Latencies()  # those of the start are none of the measurement's
                moments.append(now)
            elif before and not after and now - moments[1] >= seconds[1]:
                after.update({id_: state.delivered for id_, state in states.items()})
                moments.append(now)
                meet()
                running.stop()

        summary = running.run(sum(seconds) + START, on_tick=look)
        states = list(running.streams.values())
    if not after:
        reason = f"not every stream was running after {START:g} seconds"
        return {"streams": streams, "delivered": 0.0, "latency_ms_p95": 0.0, "reason": reason}
    expected = FPS * (moments[2] - moments[1])
    return {
        "streams": streams,
        "delivered": round(min(after[id_] - before[id_] for id_ in after) / expected, 4),
        "fps": round(sum(after[id_] - before[id_] for id_ in after) / (moments[2] - moments[1]), 1),
        "latency_ms_p95": round(max(state.latencies.percentiles_ms()[1] for state in states), 1),
        "people_per_frame": round(summary.people_per_frame, 2),
        "dropped": summary.dropped,
        "on_nvdec": sum(stream.decoder == "nvdec" for stream in summary.streams),
        "stages_ms": {name: round(series.p50_ms, 3) for name, series in summary.stages.items()},
    }


def _config(path: Path, streams: int) -> Config:
    return Config.model_validate(
        {
            "streams": [
                {"id": f"s{number}", "source": str(path), "pace": "realtime", "loop": True, "policy": "latest"}
                for number in range(streams)
            ],
            "batch": {"size": min(streams, 32), "deadline_ms": 15.0},
            "masks": {"model": None},
        }
    )
