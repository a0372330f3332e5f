"""What becomes of several streams in a stretch of time: frames published, how late, how many were dropped."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

STAGGER = 0.37
"""Seconds from the start of one stream to that of the next: cameras are not in step, and neither are these."""

BACKLOG = 4
"""Frames of a stream that may wait, for everybody: some take longer than others."""

START = 120.0
"""Seconds that all streams may take to show their first result."""


class Watch:
    """Counts for `seconds`, beginning `warm` seconds after every one of `streams` has shown a result.

    Made for one thread that publishes and one that looks.
    """

    def __init__(self, streams: int, warm: float, seconds: float) -> None:
        self._streams = streams
        self._warm, self._seconds = warm, seconds
        self.limit = START + warm + seconds
        self._seen: set[str] = set()
        self._from = self._until = float("inf")
        self._late: list[float] = []
        self._people = 0
        self._drops_before: int | None = None
        self._drops = 0
        self.over = False

    def published(self, stream: str, captured: float, published: float, people: int) -> None:
        """A frame was published; times in seconds since 1970."""
        self._seen.add(stream)
        if len(self._seen) == self._streams and self._from == float("inf"):
            self._from = published + self._warm
            self._until = self._from + self._seconds
        if self._from <= captured < self._until:
            self._late.append(published - captured)
            self._people += people

    def look(self, dropped: int) -> None:
        """To be called some times a second: how many frames of all streams were dropped since the start."""
        now = time.time()
        if self._from <= now < self._until:
            self._drops_before = dropped if self._drops_before is None else self._drops_before
            self._drops = dropped - self._drops_before
        self.over = now >= self._until + 1.0  # what was captured last may still come

    def figures(self) -> dict[str, Any]:
        """Of the stretch that counted."""
        late, frames = sorted(self._late), len(self._late)
        if not frames:
            return {"streams": self._streams, "fps": 0.0, "dropped": self._drops}
        return {
            "streams": self._streams,
            "fps": frames / self._seconds / self._streams,
            "p50_ms": 1e3 * late[frames // 2],
            "p95_ms": 1e3 * late[frames * 95 // 100],
            "max_ms": 1e3 * late[-1],
            "dropped": self._drops,
            "people_per_frame": self._people / frames,
        }


def show(figures: dict[str, Any]) -> None:
    """Print figures as JSON."""
    sys.stdout.write("\n" + json.dumps(figures) + "\n")
