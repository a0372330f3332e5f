"""How many frames a second leave the graph."""

from __future__ import annotations

from collections import deque

from stream.types import FrameResult

_WINDOW = 2.0
"""Seconds that the rate is an average of; batches come in bursts."""

_SHORTEST = 0.5
"""Seconds below which nothing is said."""

_LENGTH = 500
"""Frames remembered at most."""


class Rate:
    """The rate of one stream's results, by `published_at`: what the machine achieves, not what the source plays."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=_LENGTH)

    def update(self, result: FrameResult) -> float | None:
        """Take note of a frame; returns frames per second over the last two seconds, None while that is not known."""
        if self._times and result.published_at < self._times[-1]:  # the clock was put back
            self._times.clear()
        self._times.append(result.published_at)
        while self._times[-1] - self._times[0] > _WINDOW and len(self._times) > 2:
            self._times.popleft()
        elapsed = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / elapsed if elapsed >= _SHORTEST else None
