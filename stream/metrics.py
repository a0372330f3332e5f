"""What the graph measures of itself: time by stage, latency, counters."""

from __future__ import annotations

import bisect
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

WINDOW = 4096
"""How many of the newest samples of a series its percentiles are taken from."""


REMOVED = "(removed)"
"""Under this name, which no stream can have, the counts of streams that were removed go on."""

DROPPED = "dropped: "
"""Begins the names of counters of dropped frames; the reason follows."""

OUT_OF_MEMORY = "out of memory: "
"""Begins the names of counters of batches that did not fit into a GPU's memory; the role of the network follows."""

RECENT = 256
"""How many of a stream's newest latencies its percentiles are taken from."""

BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0)
"""Upper bounds of the buckets of a histogram of latencies, seconds; above the last there is one more."""


@dataclass(frozen=True, slots=True)
class Series:
    """A series of durations: how many, their sum and percentiles of the newest `WINDOW`, in milliseconds."""

    count: int
    total_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Latencies:
    """The latencies of one stream: a histogram of all and percentiles of the newest `RECENT`; for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._total = 0.0
        self._recent: deque[float] = deque(maxlen=RECENT)

    def observe(self, seconds: float) -> None:
        """Add one."""
        with self._lock:
            self._buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
            self._total += seconds
            self._recent.append(seconds)

    def histogram(self) -> tuple[list[int], float]:
        """How many are at most as long as each of `BOUNDS` and, last, how many there are; and their sum in seconds."""
        with self._lock:
            return list(accumulate(self._buckets)), self._total

    def percentiles_ms(self) -> tuple[float, float]:
        """p50 and p95 of the newest, milliseconds; zeros where there are none."""
        with self._lock:
            recent = list(self._recent)
        p50, p95 = np.percentile(recent, (50, 95)) * 1e3 if recent else (0.0, 0.0)
        return float(p50), float(p95)


class Meter:
    """How fast a counter rises, from looks at it that are `window` seconds apart or more."""

    def __init__(self, window: float = 1.0) -> None:
        self._window = window
        self._since: float | None = None
        self._count = 0
        self.rate = 0.0

    def look(self, count: int, now: float) -> None:
        """Take note that the counter stands at `count` at the time `now`, seconds."""
        if self._since is not None and now - self._since < self._window:
            return
        if self._since is not None:
            self.rate = (count - self._count) / (now - self._since)
        self._since, self._count = now, count


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

    def forget(self, stream: str) -> None:
        """Count what `stream` has counted under `REMOVED` from now on, so that streams may come and go for ever."""
        with self._lock:
            for what, of in [key for key in self._counts if key[1] == stream]:
                self._counts[what, REMOVED] += self._counts.pop((what, of))

    def counts_of(self, stream: str) -> dict[str, int]:
        """Every counter of `stream`."""
        with self._lock:
            return {what: n for (what, of), n in self._counts.items() if of == stream}

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
