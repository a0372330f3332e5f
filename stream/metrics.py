"""What the graph measures of itself: time by stage, latency, counters."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

WINDOW = 4096
"""How many of the newest samples of a series its percentiles are taken from."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of durations: how many, their sum and percentiles of the newest `WINDOW`, in milliseconds."""

    count: int
    total_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Metrics:
    """Counters and durations of one pipeline; every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._samples: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self._seen: Counter[str] = Counter()

    def count(self, what: str, stream: str = "", by: int = 1) -> None:
        """Add `by` to the counter `what` of `stream`."""
        with self._lock:
            self._counts[what, stream] += by

    def counted(self, what: str, stream: str | None = None) -> int:
        """The counter `what` of `stream`, or of all streams together."""
        with self._lock:
            return sum(n for (key, of), n in self._counts.items() if key == what and stream in (None, of))

    def observe(self, series: str, seconds: float) -> None:
        """Add one duration to a series."""
        with self._lock:
            self._seen[series] += 1
            self._totals[series] += seconds
            self._samples[series].append(seconds)

    @contextmanager
    def timed(self, series: str) -> Iterator[None]:
        """Add the duration of the `with` block to a series."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.observe(series, time.perf_counter() - start)

    def names(self) -> list[str]:
        """Every series that has a sample, in the order of the first."""
        with self._lock:
            return list(self._samples)

    def series(self, name: str) -> Series:
        """What was observed under `name`; zeros where nothing was."""
        with self._lock:
            samples = np.array(self._samples[name]) if name in self._samples else np.zeros(0)
            count, total = self._seen[name], self._totals[name]
        p50, p95, p99 = np.percentile(samples, (50, 95, 99)) * 1e3 if len(samples) else (0.0, 0.0, 0.0)
        return Series(count, total * 1e3, float(p50), float(p95), float(p99))
