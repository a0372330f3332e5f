"""The sinks of one run: each gets every result, and one that fails costs the others nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from stream.metrics import Metrics
from stream.sinks import Sink, SinkError
from stream.types import AnyImage, FrameResult, Image, StreamInfo

log = logging.getLogger(__name__)


class Recording:
    """Fans results out to sinks; one that fails is closed, named in the log, and not written to again."""

    def __init__(self, sinks: Sequence[Sink], metrics: Metrics) -> None:
        self._all = tuple(sinks)
        self._sinks = list(sinks)
        self._metrics = metrics
        self.failures: list[str] = []

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that were made."""
        return tuple(str(path) for sink in self._all for path in sink.paths)

    def start(self, info: StreamInfo) -> None:
        """Tell every sink of a stream, before its first result."""
        for sink in list(self._sinks):
            try:
                sink.start(info)
            except SinkError as error:
                self._fail(sink, error)

    def write(self, result: FrameResult, image: AnyImage) -> None:
        """Hand one result to every sink; an image on a GPU is fetched once for all that need it."""
        array: Image | None = None
        for sink in list(self._sinks):
            wanted = sink.needs_images
            if wanted and array is None:
                array = np.asarray(image)
            try:
                sink.write(result, array if wanted else None)
            except SinkError as error:
                self._fail(sink, error)

    def finish(self, stream: str) -> None:
        """Tell every sink that a stream has left."""
        for sink in list(self._sinks):
            try:
                sink.finish(stream)
            except SinkError as error:
                self._fail(sink, error)

    def close(self) -> None:
        """Finish every file."""
        for sink in self._sinks:
            self._close(sink)
        self._sinks.clear()

    def _fail(self, sink: Sink, error: SinkError) -> None:
        log.error("%s; this recording stops, everything else goes on", error)
        self._metrics.count("failed: recorder")
        self.failures.append(str(error))
        self._sinks.remove(sink)
        self._close(sink)

    def _close(self, sink: Sink) -> None:
        try:
            sink.close()
        except SinkError as error:
            if str(error) not in self.failures:
                log.error("%s", error)
                self.failures.append(str(error))
