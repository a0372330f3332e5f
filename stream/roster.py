"""The streams of a run: they come and go while it runs, at the word of any thread."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping

from stream.batching import Batcher, BatcherEndedError, Terms
from stream.config import Config, StreamConfig
from stream.errors import StreamError
from stream.state import StreamState

log = logging.getLogger(__name__)


class Roster:
    """Who is watched now.

    Every change makes a new map of streams, so that whoever looks at the old one is not disturbed. A stream that leaves
    stays in it until the graph says by `drop` that nothing of it is under way.

    Args:
        batcher: makes the inboxes.
        config: what the inboxes are like.
        read: makes and starts the reader of a stream.
    """

    def __init__(self, batcher: Batcher, config: Config, read: Callable[[StreamState], threading.Thread]) -> None:
        self._batcher = batcher
        self._room = config.decode.queue
        self._max_latency_ms = config.batch.max_latency_ms
        self._read = read
        self._changing = threading.Lock()
        self._started = False
        self._stopped = False
        self.streams: Mapping[str, StreamState] = {}

    def start(self) -> None:
        """Start every reader, and from now on those of added streams at once."""
        with self._changing:
            self._started = True
            for state in self.streams.values():
                state.reader = self._read(state)

    def stop(self) -> None:
        """Let no stream be added any more, and tell every reader to end."""
        with self._changing:
            self._stopped = True
            for state in self.streams.values():
                state.stop()
        self._batcher.end()

    def add(self, stream: StreamConfig) -> None:
        """Watch one more stream, from now on or from `start`.

        Raises:
            StreamError: its id is taken, or the run is over.
        """
        with self._changing:
            if stream.id in self.streams:
                raise StreamError(f"{stream.id}: there is such a stream already; remove it first, or give another id")
            if self._stopped:
                raise StreamError(f"{stream.id}: the run is being stopped, no stream can be added to it")
            state = self._open(stream)
            self.streams = {**self.streams, stream.id: state}
            if self._started:
                state.reader = self._read(state)

    def remove(self, stream: str, timeout: float) -> None:
        """Watch a stream no longer; returns when it is forgotten.

        Raises:
            StreamError: there is no such stream, or its source does not end within `timeout` seconds; it then goes
                when it does.
        """
        with self._changing:
            state = self._find(stream)
            if self._stopped:
                raise StreamError(f"{stream}: the run is being stopped, and the stream with it")
            state.leaving = True
            state.stop()
            state.inbox.drop("removed")
            if not self._started:
                state.inbox.close()
                self._take_out(state)
                return
        if not state.gone.wait(timeout):
            raise StreamError(f"{stream}: its source has not ended within {timeout:g} s; the stream goes when it does")
        log.info("%s: removed", stream)

    def change(self, stream: str, changed: Callable[[StreamConfig], StreamConfig]) -> None:
        """Let a stream go by the options that `changed` makes of its own; see `StreamState.change`.

        Raises:
            StreamError: there is no such stream, or it is over.
            Exception: what `changed` raises.
        """
        with self._changing:
            state = self._find(stream)
            config = changed(state.config)
            state.change(config, self._terms(config))
        log.info("%s: changed", stream)

    def pause(self, stream: str) -> None:
        """Let no frame of a stream in until `resume`; see `StreamState.pause`. Raises `StreamError` where it is not."""
        with self._changing:
            self._find(stream).pause()
        log.info("%s: paused", stream)

    def resume(self, stream: str) -> None:
        """Go on after `pause`. Raises `StreamError` where there is no such stream."""
        with self._changing:
            self._find(stream).resume()
        log.info("%s: resumed", stream)

    def drop(self, state: StreamState) -> None:
        """Forget a stream of which nothing is under way any more."""
        with self._changing:
            self._take_out(state)

    def _take_out(self, state: StreamState) -> None:
        self.streams = {id_: other for id_, other in self.streams.items() if other is not state}

    def _find(self, stream: str) -> StreamState:
        state = self.streams.get(stream)
        if state is None or state.leaving:
            known = ", ".join(self.streams) or "none"
            raise StreamError(f"{stream}: there is no such stream; there are: {known}")
        return state

    def _open(self, stream: StreamConfig) -> StreamState:
        try:
            return StreamState(stream, self._batcher.open(self._terms(stream)))
        except BatcherEndedError:
            raise StreamError(f"{stream.id}: every stream has ended, and the run with them") from None

    def _terms(self, stream: StreamConfig) -> Terms:
        if not stream.drops:
            return Terms(self._room, "every")
        budget = self._max_latency_ms if stream.max_latency_ms is None else stream.max_latency_ms
        return Terms(stream.backlog, "latest", budget / 1e3 or math.inf)
