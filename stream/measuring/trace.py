"""A trace of one run: every timed block of every thread on one time line, to be opened in Perfetto or chrome://tracing.

The format is the Trace Event Format of Chromium's tracing: complete events ("ph": "X") with a start and a duration in
microseconds. Each also tells the processor time of its thread: what is missing from the duration was spent waiting, or
computing in the threads of a network's runtime.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stream.metrics import Metrics

LIMIT = 500_000
"""Events that are kept; a run that is longer is traced at its beginning."""


class TracedMetrics(Metrics):
    """Metrics that also keep when each timed block began, in which thread, and its processor time."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.perf_counter()
        self._events: list[dict[str, Any]] = []
        self._threads: dict[int, str] = {}

    @contextmanager
    def timed(self, series: str) -> Iterator[None]:
        """As `Metrics.timed`, and one event of the trace."""
        start, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            end = time.perf_counter()
            self.observe(series, end - start)
            self._keep(series, start, end, time.thread_time() - cpu)

    def write_trace(self, path: Path) -> int:
        """Write the trace to `path`; returns the number of its events.

        Raises:
            OSError: the file cannot be written.
        """
        process = os.getpid()
        named = [
            {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": {"name": name}}
            for thread, name in self._threads.items()
        ]
        events = [event | {"pid": process} for event in self._events]
        path.write_text(json.dumps({"traceEvents": named + events, "displayTimeUnit": "ms"}), encoding="utf-8")
        return len(events)

    def _keep(self, series: str, start: float, end: float, cpu: float) -> None:
        thread = threading.current_thread()
        if thread.ident is None or len(self._events) >= LIMIT:
            return
        self._threads[thread.ident] = thread.name
        self._events.append(
            {
                "ph": "X",
                "name": series,
                "cat": "stage",
                "tid": thread.ident,
                "ts": round((start - self._start) * 1e6, 1),
                "dur": round((end - start) * 1e6, 1),
                "args": {"cpu_ms": round(cpu * 1e3, 3)},
            }
        )
