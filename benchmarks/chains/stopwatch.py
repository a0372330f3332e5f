"""How many frames a second a chain does, and how many people it sees in them."""

from __future__ import annotations

import json
import sys
import time

WARM = 5
"""Frames at the beginning that are not counted."""


class Stopwatch:
    """Counts `frames` frames after the first `WARM`."""

    def __init__(self, frames: int) -> None:
        self._frames = frames
        self._seen = -WARM
        self._people = 0
        self._start = self._end = 0.0

    @property
    def done(self) -> bool:
        return self._seen >= self._frames

    def count(self, people: int, at: float | None = None) -> None:
        """Another frame is ready, with so many people in it; `at`: when, seconds of any clock, now by default."""
        self._seen += 1
        self._end = time.perf_counter() if at is None else at
        if self._seen == 0:
            self._start = self._end
        elif 0 < self._seen <= self._frames:
            self._people += people

    def show(self) -> None:
        """Print the figures as JSON."""
        if self._seen < 1:
            raise SystemExit(f"the video is too short: it has {self._seen + WARM} frames")
        figures = {"fps": self._seen / (self._end - self._start), "people_per_frame": self._people / self._seen}
        sys.stdout.write("\n" + json.dumps(figures) + "\n")
