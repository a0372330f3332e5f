"""A feed: the frames of a camera or another live source, which is connected to again whenever it is lost."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import TypeAlias

from stream.config import StreamConfig
from stream.sources.backoff import Backoff
from stream.sources.faults import HOPELESS
from stream.sources.nvdec import Decoding
from stream.sources.reader import Picture, Reader, SourceError
from stream.sources.source import Source, first_picture
from stream.sources.timeline import Timeline
from stream.types import Frame
from stream.uri import redact

log = logging.getLogger(__name__)

OpenFeed: TypeAlias = Callable[["Counter[str]", threading.Event], Reader]
"""Opens one connection; takes the counter of what is skipped, and an event that ends all waiting."""


class Feed(Source):
    """The frames of a live source, for as long as it is not stopped.

    Whatever goes wrong, an end that the other side announces included, is a lost connection: it is counted in `faults`
    by its kind, and tried again after a while (see `Backoff`). Every connection that brings a picture is an epoch;
    `seq` goes on. Only a medium with an end of its own (a file behind http) ends there, or starts again with `loop`.

    Args:
        config: of the stream.
        open_reader: makes one connection.
        on_trouble: called in the iterating thread: when the feed is lost with one sentence saying why, without
            credentials, and with None when it is back.
        backoff: how long to wait between attempts.
        decoding: where it is decoded; `open_reader` goes by it.

    Raises:
        SourceError: while iterating, when no attempt can ever help.
    """

    def __init__(
        self,
        config: StreamConfig,
        open_reader: OpenFeed,
        on_trouble: Callable[[str | None], None] = lambda _: None,
        backoff: Backoff | None = None,
        decoding: Decoding | None = None,
    ) -> None:
        super().__init__(config, decoding)
        self._open_reader = open_reader
        self._on_trouble = on_trouble
        self._backoff = backoff or Backoff()
        self._reader: Reader | None = None
        self._started = time.monotonic()
        self._epoch = -1  # of the last connection that brought a picture
        self._lost_since = self._started
        self._last_reason = ""

    def __iter__(self) -> Iterator[Frame]:
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                finished = yield from self._connection()
            except SourceError as error:
                if error.fault in HOPELESS:
                    raise
                failure = error
            else:
                if finished and not self._config.loop:
                    return
                failure = SourceError(f"{redact(self._config.source)}: the other side ended it", "ended")
            if self._stopped.is_set():
                return
            self._lost(failure, time.monotonic() - began)

    def close(self) -> None:
        """Stop, and hang up. To be called where the iteration ran."""
        self.stop()
        if self._reader is not None:
            self._reader.close()

    def _connection(self) -> Generator[Frame, None, bool]:
        """The frames of one connection. Returns whether the medium came to the end of its own."""
        self._reader = reader = self._open_reader(self.dropped, self._stopped)
        try:
            pictures = reader.pictures()
            first = first_picture(reader, pictures, self._config.source)
            self._found(reader, first)
            yield from self._frames(reader, first, pictures)
            return reader.finite
        finally:
            reader.close()

    def _frames(self, reader: Reader, first: Picture, pictures: Iterator[Picture]) -> Iterator[Frame]:
        timeline = Timeline()
        timeline.restart(reader.fps)
        picture: Picture | None = first
        while picture is not None and not self._stopped.is_set():
            at = time.time() if picture.at is None else picture.at
            pts = timeline.place(picture.pts).pts
            if self._numbering.admits(time.monotonic() - self._started):
                yield self._numbering.frame(picture, pts, at, reader.clock)
            picture = next(pictures, None)

    def _found(self, reader: Reader, first: Picture) -> None:
        self._epoch += 1
        self._numbering.begin(reader, first, self._epoch)
        if self._last_reason:
            self._on_trouble(None)
            log.warning("%s: is back after %.1f s", self._config.id, time.monotonic() - self._lost_since)
        self._last_reason = ""

    def _lost(self, failure: SourceError, lasted: float) -> None:
        """Tell why, once for the same reason, and wait for the next attempt."""
        reason = str(failure)
        wait = self._backoff.next(failure.fault, lasted)
        self.faults[failure.fault] += 1
        if not self._last_reason:
            self._lost_since = time.monotonic()
        if reason != self._last_reason:
            log.warning("%s: %s; trying again in %.1f s, then again and again", self._config.id, reason, wait)
            self._on_trouble(reason)
        self._last_reason = reason
        self._stopped.wait(wait)
