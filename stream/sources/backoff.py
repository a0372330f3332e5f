"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random

from stream.sources.faults import Fault

FIRST = 0.25
"""Seconds before the second attempt."""

LONGEST = 2.0
"""Seconds between two attempts at most: with the time that opening takes, a feed is back within five seconds."""

AFTER_REFUSED_CREDENTIALS = 60.0
"""Seconds after wrong credentials: cameras lock an account out after a handful of attempts in a row."""

HEALTHY = 5.0
"""Seconds that a connection must have lasted to count as a success; one that flaps is not hurried after."""


class Backoff:
    """Doubles from `FIRST` to `LONGEST`, with jitter, so that cameras behind one switch do not come back in step."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._step = FIRST

    def next(self, fault: Fault, lasted: float) -> float:
        """Seconds to wait after a connection that `lasted` so long and failed by `fault`."""
        if fault == "auth":
            return AFTER_REFUSED_CREDENTIALS
        if lasted >= HEALTHY:
            self._step = FIRST
        step, self._step = self._step, min(2 * self._step, LONGEST)
        return step * self._random.uniform(0.5, 1.0)
