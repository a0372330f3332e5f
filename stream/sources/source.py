"""A source: the frames of one stream, numbered, timed and paced."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeAlias

from stream.config import StreamConfig
from stream.sources.reader import Picture, Reader, SourceError
from stream.sources.timeline import Moment, RateCap, Timeline
from stream.types import Clock, Frame, StreamInfo
from stream.uri import redact

log = logging.getLogger(__name__)

OpenReader: TypeAlias = Callable[["Counter[str]"], Reader]
"""Opens a medium for one pass; takes the counter of what the reader has to skip."""


class Source:
    """The frames of one stream, read in the thread that iterates.

    The first picture is decoded at once, so a source that could be opened delivers at least one frame.

    A frame's `captured_at` is the time of its arrival where the reader's clock says so. For a file it is the wall time
    at which its first picture was read, plus the media time since then; it runs ahead of the wall clock when the file
    is read faster than it plays. In a loop `pts` starts again with every pass and `captured_at` goes on.

    Attributes:
        info: what the stream is; follows a change of its epoch or of its size.
        dropped: how many pictures did not become frames, by reason: "fps" (over the cap), "damaged", "unreadable".

    Raises:
        SourceError: it cannot be opened, or not one picture can be decoded; also while iterating, when it breaks off.
    """

    def __init__(self, config: StreamConfig, open_reader: OpenReader) -> None:
        self.dropped: Counter[str] = Counter()
        self._config = config
        self._open_reader = open_reader
        self._timeline = Timeline()
        self._cap = RateCap(config.fps)
        self._stopped = threading.Event()
        self._seq = 0
        self._reader, self._first, self._rest = self._begin()
        self._wall, self._monotonic = self._arrived, time.monotonic()
        self.info = self._describe(epoch=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        while True:
            yield from self._pass()
            if not self._config.loop or self._stopped.is_set():
                return
            self._reader.close()
            self._reader, self._first, self._rest = self._begin()
            self.info = self._describe(epoch=self.info.epoch + 1)

    def stop(self) -> None:
        """End the iteration before its next frame. May be called from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop, and give the medium back. To be called where the iteration ran."""
        self.stop()
        self._reader.close()

    def _begin(self) -> tuple[Reader, Picture, Iterator[Picture]]:
        reader = self._open_reader(self.dropped)
        pictures = reader.pictures()
        try:
            first = next(pictures, None)
        except SourceError:
            reader.close()
            raise
        if first is None:
            reader.close()
            raise SourceError(f"{redact(self._config.source)}: not one picture in it can be decoded")
        self._arrived = time.time()
        self._timeline.restart(reader.fps)
        return reader, first, pictures

    def _describe(self, epoch: int) -> StreamInfo:
        reader, cap = self._reader, self._config.fps
        height, width = self._first.image.shape[:2]
        capped = bool(cap) and cap < reader.fps
        frames = math.ceil(reader.frames * cap / reader.fps) if capped else reader.frames
        return StreamInfo(
            stream=self._config.id,
            epoch=epoch,
            source=redact(self._config.source),
            width=width,
            height=height,
            fps=cap if capped else reader.fps,
            frames=0 if self._config.loop else frames,
        )

    def _pass(self) -> Iterator[Frame]:
        picture: Picture | None = self._first
        while picture is not None and not self._stopped.is_set():
            moment = self._timeline.place(picture.pts)
            if not self._cap.admits(moment.elapsed):
                self.dropped["fps"] += 1
            elif self._reader.clock == "arrival":
                yield self._frame(picture, moment, "arrival", self._arrived)
            elif self._wait_for(moment):
                yield self._frame(picture, moment, "file", self._wall + moment.elapsed)
            picture = next(self._rest, None)
            self._arrived = time.time()

    def _wait_for(self, moment: Moment) -> bool:
        """Sleep until a file's picture is due, when it is to run in real time; False when stopped meanwhile."""
        ahead = self._monotonic + moment.elapsed - time.monotonic()
        if self._config.pace == "realtime" and ahead > 0:
            return not self._stopped.wait(ahead)
        return True

    def _frame(self, picture: Picture, moment: Moment, clock: Clock, captured_at: float) -> Frame:
        height, width = picture.image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            log.info("%s: the pictures are now %d x %d", self._config.id, width, height)
            self.info = replace(self.info, width=width, height=height)
        seq, self._seq = self._seq, self._seq + 1
        return Frame(self._config.id, self.info.epoch, seq, moment.pts, captured_at, clock, picture.image)
