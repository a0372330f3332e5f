"""What every source offers, and the source over a medium that waits until it is asked: files, images, patterns."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeAlias

from stream.config import StreamConfig
from stream.sources.numbering import Numbering
from stream.sources.nvdec import Decoding
from stream.sources.reader import Picture, Reader, SourceError
from stream.sources.timeline import Moment, Timeline
from stream.types import Frame, StreamInfo
from stream.uri import redact

OpenReader: TypeAlias = Callable[["Counter[str]"], Reader]
"""Opens a medium for one pass; takes the counter of what the reader has to skip."""


class Source(ABC):
    """The frames of one stream, read in the thread that iterates.

    Attributes:
        info: what the stream is; follows a change of its epoch or of its size.
        dropped: how many pictures did not become frames, by reason: "fps" (over the cap), "damaged", "unreadable",
            "busy" (nobody took them in time).
        faults: how often its connection was lost or did not come about, by the kind of fault; empty for a file.
        decoding: where its video is decoded, and why.

    Raises:
        SourceError: while iterating, when it breaks off for good.
    """

    def __init__(self, config: StreamConfig, decoding: Decoding | None = None) -> None:
        self.decoding = decoding or Decoding(config, None)
        self.faults: Counter[str] = Counter()
        self._config = config
        self._numbering = Numbering(config)
        self._stopped = threading.Event()

    @property
    def info(self) -> StreamInfo:
        return self._numbering.info

    @property
    def dropped(self) -> Counter[str]:
        return self._numbering.dropped

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]: ...

    def cap(self, fps: float) -> None:
        """Let at most `fps` frames per second through from the next picture on, 0: all. From any thread."""
        self._numbering.cap(fps)

    def stop(self) -> None:
        """End the iteration before its next frame. May be called from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and give the medium back. To be called where the iteration ran."""
        self.stop()


class MediumSource(Source):
    """The frames of a file, of images or of a pattern.

    The first picture is decoded at once, so a source that could be opened delivers at least one frame.

    A frame's `captured_at` is the wall time at which the first picture was read, plus the media time since then; it
    runs ahead of the wall clock when the file is read faster than it plays. In a loop `pts` starts again with every
    pass and `captured_at` goes on.

    Raises:
        SourceError: it cannot be opened, or not one picture can be decoded; also while iterating, when it breaks off.
    """

    def __init__(self, config: StreamConfig, open_reader: OpenReader, decoding: Decoding | None = None) -> None:
        super().__init__(config, decoding)
        self._open_reader = open_reader
        self._timeline = Timeline()
        self._begin(epoch=0)
        self._wall, self._monotonic = time.time(), time.monotonic()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            yield from self._pass()
            if not self._config.loop or self._stopped.is_set():
                return
            self._reader.close()
            self._begin(self.info.epoch + 1)

    def close(self) -> None:
        """Stop, and give the medium back. To be called where the iteration ran."""
        self.stop()
        self._reader.close()

    def _begin(self, epoch: int) -> None:
        self._reader = self._open_reader(self.dropped)
        self._rest = self._reader.pictures()
        self._first = first_picture(self._reader, self._rest, self._config.source)
        self._timeline.restart(self._reader.fps)
        self._numbering.begin(self._reader, self._first, epoch)

    def _pass(self) -> Iterator[Frame]:
        picture: Picture | None = self._first
        while picture is not None and not self._stopped.is_set():
            moment = self._timeline.place(picture.pts)
            if self._numbering.admits(moment.elapsed) and self._wait_for(moment):
                yield self._numbering.frame(picture, moment.pts, self._wall + moment.elapsed, "file")
            picture = next(self._rest, None)

    def _wait_for(self, moment: Moment) -> bool:
        """Sleep until a picture is due, when it is to run in real time; False when stopped meanwhile."""
        ahead = self._monotonic + moment.elapsed - time.monotonic()
        if self._config.pace == "realtime" and ahead > 0:
            return not self._stopped.wait(ahead)
        return True


def first_picture(reader: Reader, pictures: Iterator[Picture], source: str) -> Picture:
    """The first of a reader's `pictures`; the reader is closed where there is none.

    Raises:
        SourceError: there is none, or it broke off before.
    """
    try:
        first = next(pictures, None)
    except SourceError:
        reader.close()
        raise
    if first is None:
        reader.close()
        raise SourceError(f"{redact(source)}: not one picture in it can be decoded", "corrupt")
    return first
