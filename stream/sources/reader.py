"""What every medium offers: its pictures once through, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from stream.types import Clock, Image


class SourceError(Exception):
    """A source cannot be opened, holds no picture, or broke off. One sentence, without credentials."""


class Picture(NamedTuple):
    """A decoded picture: `image` uint8 [H, W, 3] BGR, `pts` seconds in the media's time line or None."""

    pts: float | None
    image: Image


class Reader(Protocol):
    """One pass over a medium. What it had to skip it counts in the `Counter` that it was made with.

    Attributes:
        clock: what the time of a picture is taken from: its pts ("file") or its arrival.
        fps: nominal pictures per second, 0 where unknown.
        frames: how many pictures there are, 0 where unknown or endless.
    """

    clock: Clock
    fps: float
    frames: int

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order in which they are shown.

        Raises:
            SourceError: the medium broke off.
        """
        ...

    def close(self) -> None:
        """Give the medium back. May be called more than once."""
        ...
