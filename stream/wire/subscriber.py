"""The receiving end of the wire: an iterator of results that notices what it has missed."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import zmq

from stream.types import FrameResult, StreamInfo
from stream.wire._endpoint import EndpointError, attach
from stream.wire.schema import MAX_BYTES, Message, SchemaError, StreamStatus, VersionError, unpack

_log = logging.getLogger(__name__)

_SLICE = 0.2
"""Seconds of one wait inside a longer one, so that ctrl-C is heard on every platform."""


class Subscriber:
    """Receives the results of a publisher; iterate over it for one `FrameResult` after the other.

        with Subscriber("tcp://127.0.0.1:5555", streams=["lobby"]) as results:
            for result in results:
                print(result.seq, result.people.ids)

    Delivery is at most once: what is published while nobody listens, or while this program is too slow, is gone, and
    `lost` counts it. A publisher that goes away and comes back is found again. A subscriber belongs to one thread.

    Args:
        endpoint: where the publisher listens.
        streams: the id or ids to receive; None for all.
        timeout: seconds of silence after which iterating raises TimeoutError; None waits as long as it takes.
        until_end: stop iterating when every stream of `streams` (None: every stream heard of) has ended.
        high_water_mark: messages kept here while this program is busy, before the publisher's own queue fills.

    Raises:
        EndpointError: the endpoint is not one.

    Attributes:
        infos: what each stream is, by id, as far as its `info` has arrived.
        statuses: how each stream is doing, by id.
        lost: frames per stream that were published, or captured and given up, after the first one received.
        malformed: messages that were not understood and are skipped.
    """

    def __init__(
        self,
        endpoint: str,
        streams: str | Iterable[str] | None = None,
        *,
        timeout: float | None = None,
        until_end: bool = False,
        high_water_mark: int = 1000,
    ) -> None:
        self.endpoint = endpoint
        self.infos: dict[str, StreamInfo] = {}
        self.statuses: dict[str, StreamStatus] = {}
        self.lost: Counter[str] = Counter()
        self.malformed = 0
        self._streams = None if streams is None else frozenset([streams] if isinstance(streams, str) else streams)
        self._timeout = timeout
        self._until_end = until_end
        self._next: dict[str, int] = {}  # the seq that each stream should bring next
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.set(zmq.RCVHWM, high_water_mark)
        self._socket.set(zmq.MAXMSGSIZE, MAX_BYTES)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.TCP_KEEPALIVE, 1)  # notice a publisher whose machine vanished
        self._socket.set(zmq.TCP_KEEPALIVE_IDLE, 30)
        try:
            attach("subscribe to", self._socket.connect, endpoint)
        except EndpointError:
            self.close()
            raise
        for kind in ("info/", "status/", "people/"):  # in this order, so that the first frame comes after its info
            for stream in [""] if self._streams is None else sorted(self._streams):
                self._socket.subscribe(kind + stream)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[FrameResult]:
        while not (self._until_end and self.ended):
            result = self.receive(_SLICE if self._timeout is None else self._timeout)
            if result is not None:
                yield result
            elif self._timeout is not None and not (self._until_end and self.ended):
                raise TimeoutError(
                    f"no frame from {self.endpoint} for {self._timeout:g} s: does a publisher run there, "
                    f"and has it {'any stream' if self._streams is None else ', '.join(sorted(self._streams))}?"
                )

    @property
    def ended(self) -> bool:
        """Whether every stream asked for has ended; with `streams=None` every stream heard of, at least one."""
        streams = self._streams
        if streams is None:
            streams = frozenset((*self._next, *self.infos, *self.statuses))
        return bool(streams) and all(s in self.statuses and self.statuses[s].final for s in streams)

    def receive(self, timeout: float) -> FrameResult | None:
        """The next frame, or None when `timeout` seconds bring none or, with `until_end`, none can come any more.

        Raises:
            VersionError: the publisher speaks another major version.
        """
        deadline = time.monotonic() + timeout
        while not (self._until_end and self.ended):
            wait = min(_SLICE, deadline - time.monotonic())
            if self._socket.poll(max(0, round(wait * 1000))):
                message = self._read(self._socket.recv_multipart(zmq.NOBLOCK))
                if isinstance(message, FrameResult):
                    return message
            elif wait <= 0:
                break
        return None

    def close(self) -> None:
        """Leave the publisher. A second call does nothing."""
        self._socket.close()
        self._context.term()

    def _read(self, parts: list[bytes]) -> Message | None:
        """The message of these parts, taken note of; None where it is malformed or of a stream not asked for."""
        try:
            if len(parts) != 2:
                raise SchemaError(f"a message has {len(parts)} parts, not a topic and a body")
            message = unpack(*parts)
        except VersionError:
            raise
        except SchemaError as error:
            self.malformed += 1
            if self.malformed == 1:
                _log.warning("skipping a message from %s that is not version 1 of the wire: %s", self.endpoint, error)
            return None
        if self._streams is not None and message.stream not in self._streams:
            return None  # ZeroMQ matches the beginnings of topics: cam1 also brings cam10
        if isinstance(message, FrameResult):
            self._count(message.stream, message.seq)
            self._next[message.stream] = message.seq + 1
        elif isinstance(message, StreamInfo):
            self.infos[message.stream] = message
        else:
            self.statuses[message.stream] = message
            if message.final and message.stream in self._next:
                self._count(message.stream, message.next_seq)
                self._next[message.stream] = message.next_seq
        return message

    def _count(self, stream: str, seq: int) -> None:
        """Add what is missing before `seq`. A lower one than expected is a publisher that started again."""
        self.lost[stream] += max(0, seq - self._next.get(stream, seq))
