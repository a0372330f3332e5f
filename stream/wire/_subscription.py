"""What the subscribers of threads and of asyncio share: all of receiving but the waiting."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import zmq

from stream.types import FrameResult, StreamInfo
from stream.wire._endpoint import EndpointError
from stream.wire._reception import Reception
from stream.wire._replay_client import ReplayClient
from stream.wire.keys import KeyPair
from stream.wire.schema import MAX_BYTES, StreamStatus
from stream.wire.security import Credentials, connect

SLICE = 0.2
"""Seconds of one wait inside a longer one, so that ctrl-C is heard on every platform."""

_AT_ONCE = 5000
"""Messages taken in one step, so that a flood of others than frames cannot outlast a timeout."""

_SILENCE = 1.0
"""Seconds without a message after which the publisher is asked whether the end of a stream passed us by."""

_STREAMS_AT_ONCE = 4096
"""Streams of which a newest frame is held, with `latest`."""


class Subscription:
    """See `stream.wire.Subscriber`, which describes the arguments and attributes.

    `_step` does what can be done at once; when it returns None, wait until `_awaited` can be read, for `SLICE` at most.
    """

    def __init__(
        self,
        endpoint: str,
        streams: str | Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        until_end: bool = False,
        high_water_mark: int = 1000,
        latest: bool = False,
        recover: bool | str = False,
        server_key: str | Path | None = None,
        keys: KeyPair | str | Path | None = None,
    ) -> None:
        if latest and recover:
            raise ValueError("a subscriber wants the newest frame (latest) or every frame (recover), not both")
        self.endpoint = endpoint
        self.skipped: Counter[str] = Counter()
        self._streams = None if streams is None else frozenset([streams] if isinstance(streams, str) else streams)
        self._reception = Reception(self._streams, bool(recover), endpoint)
        self._timeout = timeout
        self._until_end = until_end
        self._newest: dict[bytes, tuple[list[bytes], int]] | None = {} if latest else None
        credentials = Credentials.of(server_key, keys)
        self._encrypted = credentials is not None
        self._context = zmq.Context()
        self._replay: ReplayClient | None = None
        if recover:
            where = None if recover is True else recover
            self._replay = ReplayClient(self._context, credentials, endpoint, where)
        self._heard = time.monotonic()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, high_water_mark)
        self._socket.set(zmq.MAXMSGSIZE, MAX_BYTES)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.TCP_KEEPALIVE, 1)  # notice a publisher whose machine vanished
        self._socket.set(zmq.TCP_KEEPALIVE_IDLE, 30)
        try:
            connect("subscribe to", self._socket, endpoint, credentials)
        except EndpointError:
            self._release()
            raise
        for kind in ("info/", "status/", "people/"):  # in this order, so that the first frame comes after its info
            for stream in [""] if self._streams is None else sorted(self._streams):
                self._socket.subscribe(kind + stream)

    @property
    def infos(self) -> dict[str, StreamInfo]:
        """What each stream is, by id, as far as its `info` has arrived."""
        return self._reception.infos

    @property
    def statuses(self) -> dict[str, StreamStatus]:
        """How each stream is doing, by id."""
        return self._reception.statuses

    @property
    def lost(self) -> Counter[str]:
        """Frames per stream that were published, or captured and given up, after the first one received."""
        return self._reception.lost

    @property
    def recovered(self) -> Counter[str]:
        """Frames per stream that were missed and fetched again."""
        return self._reception.recovered

    @property
    def malformed(self) -> int:
        """Messages that were not understood and are skipped."""
        return self._reception.malformed

    @property
    def ended(self) -> bool:
        """Whether every stream asked for has ended; with `streams=None` every stream heard of, at least one."""
        return self._reception.ended

    @property
    def _done(self) -> bool:
        return self._until_end and self._reception.exhausted

    @property
    def _awaited(self) -> zmq.Socket[bytes]:
        """The socket whose next message is needed to go on."""
        fetching = None if self._replay is None else self._replay.socket
        return self._socket if fetching is None else fetching

    def _step(self) -> FrameResult | None:
        """The next frame, if it is here; None where something must arrive first, or after very many other messages."""
        for _ in range(_AT_ONCE):
            if self._reception.ready:
                return self._reception.ready.popleft()
            if not (self._fetch() if self._reception.gaps else self._take()):
                return None
        self._take_newest()
        return self._reception.ready.popleft() if self._reception.ready else None

    def _fetch(self) -> bool:
        if self._replay is not None:
            return self._replay.step(self._reception)
        self._reception.give_up()
        return True

    def _take(self) -> bool:
        """Take what has arrived; False where that is nothing."""
        try:
            parts = self._socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return self._look_after()
        self._heard = time.monotonic()
        if self._newest is None:
            self._reception.take(parts)
        elif not parts[0].startswith(b"people/"):
            self._take_newest()  # what was said first is taken first
            self._reception.take(parts)
        elif len(self._newest) < _STREAMS_AT_ONCE:
            _, passed_over = self._newest.pop(parts[0], ([], -1))
            self._newest[parts[0]] = parts, passed_over + 1
        return True

    def _look_after(self) -> bool:
        """Nothing has arrived: hand out the newest frames, or ask whether something passed us by."""
        if self._newest:
            self._take_newest()
            return True
        if self._replay is not None and time.monotonic() - self._heard > _SILENCE:
            self._heard = time.monotonic()
            self._reception.check()
        return bool(self._reception.gaps)

    def _take_newest(self) -> None:
        if self._newest:
            newest, self._newest = self._newest, {}
            for topic, (parts, passed_over) in newest.items():
                self.skipped[topic.partition(b"/")[2].decode(errors="replace")] += passed_over
                self._reception.take(parts, passed_over)

    def _silence(self) -> TimeoutError:
        streams = "any stream" if self._streams is None else ", ".join(sorted(self._streams))
        keys = ", and does it allow our keys" if self._encrypted else ""
        asks = f"does a publisher run there, and has it {streams}{keys}?"
        return TimeoutError(f"no frame from {self.endpoint} for {self._timeout:g} s: {asks}")

    def _release(self) -> None:
        if self._replay is not None:
            self._replay.close()
        self._socket.close()
        self._context.term()
