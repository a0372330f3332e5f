"""When a picture belongs: a time line that only goes forward, and the rate at which frames are let through."""

from __future__ import annotations

import math
from typing import NamedTuple

from stream.types import Clock

DEFAULT_FPS = 25.0
"""The rate of media that name none: a folder of images, a raw elementary stream."""

STUTTER = 1.0
"""Seconds by which a pts may fall back and still be taken for a slip of the muxer rather than a new beginning."""

MOST_PLAUSIBLE_LAG = 3600.0
"""Seconds by which a camera's clock may differ from ours; beyond, it was never set and is not believed."""

_NUDGE = 1e-3
_TOLERANCE = 0.25


class Moment(NamedTuple):
    """`pts`: seconds in the media's time line, rising; `elapsed`: seconds since the first picture of the first pass."""

    pts: float
    elapsed: float


class Timeline:
    """Places pictures in time, over any number of passes over the same medium."""

    def __init__(self) -> None:
        self._interval = 1 / DEFAULT_FPS
        self._shift = 0.0
        self._first: float | None = None
        self._last = 0.0
        self._base = 0.0

    def restart(self, fps: float) -> None:
        """Begin another pass over a medium of `fps` pictures per second (0: unknown)."""
        if self._first is not None:
            self._base += self._last - self._first + self._interval
        self._interval = 1 / (fps or DEFAULT_FPS)
        self._shift = 0.0
        self._first = None

    def place(self, pts: float | None) -> Moment:
        """The moment of the next picture.

        A missing pts is filled from the rate. One that falls back a little is set just behind the picture before it;
        one that falls back by more than `STUTTER` starts the medium's clock anew, and the time line goes on from there.
        """
        if self._first is None:
            self._first = self._last = pts or 0.0
            return Moment(self._last, self._base)
        moment = self._last + self._interval if pts is None else pts + self._shift
        if moment < self._last - STUTTER and pts is not None:
            moment = self._last + self._interval
            self._shift = moment - pts
        self._last = max(moment, self._last + _NUDGE)
        return Moment(self._last, self._base + self._last - self._first)


class RateCap:
    """Lets at most `fps` frames per second of media time through, evenly; 0 lets every frame through."""

    def __init__(self, fps: float) -> None:
        self.fps = fps
        self._step = 1 / fps if fps else 0.0
        self._due = 0.0

    def admits(self, elapsed: float) -> bool:
        """Whether the frame at `elapsed` seconds is due; time stamps are rounded, so a quarter step early will do."""
        if elapsed < self._due - _TOLERANCE * self._step:
            return False
        after_a_pause = elapsed > self._due + self._step
        self._due = (elapsed if after_a_pause else self._due) + self._step
        return True


class CaptureClock:
    """When a feed's pictures were captured: by the camera's clock where that is known, else by their arrival.

    Neither a jump of the pts nor a step of this machine's wall clock bends it: arrival is counted on the monotonic
    clock from the moment of the connection, and pts that part from it by more than `STUTTER` are tied to it again.

    Args:
        realtime: the camera's wall time at pts 0, seconds since 1970, from its RTCP sender reports; None without them.
        pts, arrived: of the first picture.
    """

    def __init__(self, realtime: float | None, pts: float | None, arrived: float) -> None:
        self._realtime = realtime
        self._lag = 0.0 if realtime is None or pts is None else arrived - (realtime + pts)
        if realtime is None or pts is None or abs(self._lag) > MOST_PLAUSIBLE_LAG:
            self._realtime = None
        self._last = -math.inf

    @property
    def clock(self) -> Clock:
        """What it goes by."""
        return "arrival" if self._realtime is None else "ntp"

    def captured(self, pts: float | None, arrived: float) -> float:
        """Seconds since 1970 at which a picture was captured; rising from picture to picture."""
        at = arrived
        if self._realtime is not None:
            at = arrived - self._lag if pts is None else self._realtime + pts
            if abs(arrived - at - self._lag) > STUTTER:
                at = arrived - self._lag
                self._realtime = at - (pts or 0.0)
        self._last = max(at, self._last + _NUDGE)
        return self._last
