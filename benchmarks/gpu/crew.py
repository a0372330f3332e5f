"""The sweep with several processes on one GPU: while one tracks and packs, the networks of another run."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from benchmarks.gpu.outcome import FailedError, Figures, Setting
from benchmarks.gpu.sweep import MEASURED, START, WARM_UP, prepared, step, swept, ways
from benchmarks.gpu.video import clip
from stream.assembly import Assembly

WORKERS = 4

COUNTS = (16, 32, 64, 100, 148, 200, 300)
"""Streams of all workers together."""

LOADING = 120.0
"""Seconds that the workers may take to load their networks."""


def pipeline_of_several(setting: Setting) -> Figures:
    """What `sweep.pipeline` measures, with the streams dealt out to `WORKERS` processes."""
    path = clip(setting.folder)
    with crew(path, partial(prepared, path), WORKERS) as (measure, networks):
        return swept(measure, COUNTS, setting.latency_ms) | {"workers": WORKERS} | networks


@contextmanager
def crew(
    path: Path,
    assembled: Callable[[], Assembly],
    workers: int,
    seconds: tuple[float, float] = (WARM_UP, MEASURED),
) -> Iterator[tuple[Callable[[int], Figures], Figures]]:
    """Processes that measure at the same time.

    Args:
        assembled: makes the networks of one of them, in it. seconds: see `step`.

    Yields:
        What measures a number of streams, dealt out to all workers; and how their networks run.
    """
    spawn = multiprocessing.get_context("spawn")
    together = spawn.Barrier(workers)
    ends: list[Connection] = []
    processes = []
    try:
        for _ in range(workers):
            ours, theirs = spawn.Pipe()
            process = spawn.Process(target=_work, args=(path, assembled, seconds, together, theirs), daemon=True)
            process.start()
            theirs.close()
            ends.append(ours)
            processes.append(process)
        networks = [_answer(end, LOADING) for end in ends]
        yield partial(_measure, ends, sum(seconds) + 4 * START), networks[0]
    finally:
        for end in ends:
            end.close()  # whoever waits for work ends
        for process in processes:
            process.join(START)
            process.kill()


def _measure(ends: Sequence[Connection], limit: float, streams: int) -> Figures:
    for number, end in enumerate(ends):
        end.send(streams // len(ends) + (number < streams % len(ends)))
    parts = [_answer(end, limit) for end in ends]
    figures: Figures = {
        "streams": streams,
        "delivered": min(part["delivered"] for part in parts),
        "latency_ms_p95": max(part["latency_ms_p95"] for part in parts),
        "of_each_worker": parts,
    }
    return figures | {key: sum(part.get(key, 0) for part in parts) for key in ("fps", "dropped", "on_nvdec")}


def _answer(end: Connection, limit: float) -> Figures:
    """What a worker says.

    Raises:
        FailedError: it says nothing within `limit` seconds, or that it failed.
    """
    try:
        said: Any = end.recv() if end.poll(limit) else f"a worker said nothing for {limit:.0f} seconds"
    except EOFError:
        said = "a worker ended without a word"
    if isinstance(said, str):
        raise FailedError(said)
    figures: Figures = said
    return figures


def _work(
    path: Path, assembled: Callable[[], Assembly], seconds: tuple[float, float], together: Barrier, end: Connection
) -> None:
    """Measure as many streams as `end` says, until it is closed."""
    try:
        assembly = assembled()
        end.send(ways(assembly))
        while True:
            end.send(step(path, assembly, end.recv(), seconds, lambda: together.wait(START)))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # the parent tells of it
        together.abort()
        end.send(f"{type(error).__name__}: {error}")
