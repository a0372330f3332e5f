"""What every medium offers: its pictures once through, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from stream.sources.faults import Fault
from stream.types import AnyImage, Clock


class SourceError(Exception):
    """A source cannot be opened, holds no picture, or broke off. One sentence, without credentials.

    Attributes:
        fault: what kind of failure it is; a feed decides by it when to try again.
    """

    def __init__(self, message: str, fault: Fault = "other") -> None:
        super().__init__(message)
        self.fault: Fault = fault


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        pts: seconds in the media's time line, or None.
        image: uint8 [H, W, 3] BGR, or such a picture on a GPU.
        at: when it was captured or arrived by the reader's clock, seconds since 1970; None where the pts tells.
    """

    pts: float | None
    image: AnyImage
    at: float | None = None


class Reader(Protocol):
    """One pass over a medium. What it had to skip it counts in the `Counter` that it was made with.

    Attributes:
        clock: what the time of a picture is taken from: its pts ("file"), its arrival or the camera's clock.
        fps: nominal pictures per second, 0 where unknown.
        frames: how many pictures there are, 0 where unknown or endless.
        finite: whether the medium has an end of its own, as a file has, so that to reach it is no failure.
    """

    clock: Clock
    fps: float
    frames: int
    finite: bool

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order in which they are shown.

        Raises:
            SourceError: the medium broke off.
        """
        ...

    def close(self) -> None:
        """Give the medium back. May be called more than once."""
        ...
