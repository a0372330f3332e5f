"""When a recording goes on in another file, how its files are called, and which of them are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """A recording in one file, or cut into several.

    Attributes:
        seconds: of `captured_at` that one file covers at most; None: any time.
        size: bytes after which a file is not continued; None: any size. It may be larger by one record.
        keep: files of a stream that stay, the one being written among them; None: all.
    """

    seconds: float | None = None
    size: int | None = None
    keep: int | None = None

    def is_over(self, elapsed: float, size: int) -> bool:
        """Whether a file ends before a frame that comes `elapsed` seconds after its first one.

        Args:
            elapsed: seconds; below zero where the clock was put back, which ends a file too.
            size: what the file holds until now, bytes.
        """
        too_long = self.seconds is not None and not 0 <= elapsed < self.seconds
        return too_long or (self.size is not None and size >= self.size)

    def name(self, stream: str, captured_at: float) -> str:
        """What a file is called whose first frame was captured then: the stream, with the time where there are many."""
        if self.seconds is None and self.size is None:
            return stream
        time = datetime.fromtimestamp(captured_at, UTC)
        return f"{stream}-{time:%Y%m%dT%H%M%S}.{time.microsecond // 1000:03d}Z"
