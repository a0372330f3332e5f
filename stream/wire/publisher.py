"""The publishing end of the wire: one XPUB socket, bounded queues, the last word kept for late joiners."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

import zmq

from stream.types import FrameResult, StreamInfo
from stream.wire.replay import Replay, ReplayServer, Ring
from stream.wire.schema import Message, StreamStatus, pack, topic
from stream.wire.security import LOCAL, Guard, Security

_log = logging.getLogger(__name__)

_REQUESTS_AT_ONCE = 1000
"""Subscriptions answered between two messages, so that a storm of them cannot hold up the frames."""

_CHANGES = {b"\x00": -1, b"\x01": 1}
"""What the first byte of an XPUB request says: somebody leaves, somebody joins."""


class Publisher:
    """Sends results, descriptions and states of streams to whoever subscribes.

    Every subscriber has a queue of `high_water_mark` messages here; one that is full loses messages and delays nobody.
    Like the socket in it a publisher belongs to one thread at a time. That thread calls `serve` now and then while it
    has nothing to send, so that late joiners get their `info` and `status`.

    Args:
        endpoint: where to listen, such as `tcp://127.0.0.1:5555`; port 0 or `*` takes a free one.
        high_water_mark: messages kept for one slow subscriber.
        linger: seconds that `close` gives subscribers to take what is queued for them.
        security: who may subscribe; by default whoever runs on this machine.
        replay: how much is kept for those who miss frames, served at a socket of its own; None: nothing.

    Raises:
        EndpointError: the address is taken, not ours, or no endpoint at all.
        SecurityError: the keys cannot be used, or other machines reach the address and nothing guards it.

    Attributes:
        endpoint: where it really listens.
        overruns: how often a subscriber's queue was full, from where on it lost messages until it had caught up.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        high_water_mark: int = 1000,
        linger: float = 2.0,
        security: Security = LOCAL,
        replay: Replay | None = None,
    ) -> None:
        self.overruns = 0
        self._replay = ""
        self._ring = Ring(replay or Replay(bytes=0))
        self._infos: dict[str, StreamInfo] = {}
        self._last: dict[bytes, bytes] = {}  # topic of an info or a status -> its body
        self._subscribers: Counter[bytes] = Counter()  # prefix -> how many subscribe to it
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.set(zmq.SNDHWM, high_water_mark)
        self._socket.set(zmq.LINGER, round(linger * 1000))
        self._socket.set(zmq.XPUB_VERBOSER, 1)  # tell of every (un)subscription, not of the first and last to a topic
        self._socket.set(zmq.XPUB_NODROP, 1)  # tell when a queue is full, instead of dropping in silence
        self._socket.set(zmq.TCP_KEEPALIVE, 1)  # let go of subscribers whose machine vanished
        self._socket.set(zmq.TCP_KEEPALIVE_IDLE, 30)
        with ExitStack() as undo:  # what is open already is closed when the next step fails
            undo.callback(self._context.term)
            undo.callback(self._socket.close)
            guard = undo.enter_context(Guard(self._context, security))
            guard.bind("publish at", self._socket, endpoint)
            self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)
            if replay is not None:
                server = ReplayServer(self._context, guard, _beside(self.endpoint, replay.port), self._ring)
                undo.callback(server.close)
                self._replay = _anywhere(server.endpoint)
            self._resources = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def announce(self, info: StreamInfo) -> None:
        """Tell what a stream is, now and to everyone who joins later."""
        self._infos[info.stream] = info
        self._keep(replace(info, run=self._ring.run(info.stream), replay=self._replay))

    def report(self, status: StreamStatus) -> None:
        """Tell how a stream is doing, now and to everyone who joins later."""
        self._ring.note(status)
        self._keep(status)

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that was removed; should it come again, its `seq` may begin anew."""
        self._ring.forget(stream)
        self._infos.pop(stream, None)
        for kind in ("info", "status"):
            self._last.pop(f"{kind}/{stream}".encode(), None)

    def send(self, result: FrameResult, *, patience: float = 0.0) -> bool:
        """Send one frame to everybody who subscribes to its stream.

        A live camera sends without patience. A file can wait: `patience` is how many seconds for a subscriber whose
        queue is full, while nothing else is sent. Who exhausts it is not waited for again before having caught up.

        Returns:
            False where a subscriber was overrun and loses frames from this one on; counted in `overruns`.
        """
        self.serve()
        body = pack(result)
        if not self._ring.put(result.stream, result.seq, body) and result.stream in self._infos:
            self.announce(self._infos[result.stream])  # in its new run
        return self._send(topic(result), body, patience)

    def serve(self, timeout: float = 0.0) -> None:
        """Answer new subscribers with the last `info` and `status`; wait up to `timeout` seconds for the first."""
        joined: set[bytes] = set()
        for request in range(_REQUESTS_AT_ONCE):
            if not self._socket.poll(0 if request else round(timeout * 1000)):
                break
            message = self._socket.recv(zmq.NOBLOCK)
            change, prefix = _CHANGES.get(message[:1], 0), message[1:]
            self._subscribers[prefix] += change
            if self._subscribers[prefix] <= 0:
                del self._subscribers[prefix]
            if change > 0:
                joined.add(prefix)
        for name, body in self._last.items():
            if name.startswith(tuple(joined)):
                self._send(name, body, 0.0)

    def subscribers(self, stream: str) -> int:
        """How many subscriptions there are to the frames of a stream, as far as they have arrived here."""
        name = f"people/{stream}".encode()
        return sum(count for prefix, count in self._subscribers.items() if name.startswith(prefix))

    def wait_for_subscribers(self, streams: Iterable[str], number: int, timeout: float) -> None:
        """Return when each of `streams` has `number` subscribers, so that none of them misses its first frame.

        Raises:
            TimeoutError: that has not happened within `timeout` seconds.
        """
        names = list(streams)
        deadline = time.monotonic() + timeout
        while min(map(self.subscribers, names), default=number) < number:
            if time.monotonic() >= deadline:
                found = ", ".join(f"{name} has {self.subscribers(name)}" for name in names)
                raise TimeoutError(
                    f"waited {timeout:g} s at {self.endpoint} for {number} subscribers of each stream: {found}"
                )
            self.serve(timeout=0.1)

    def close(self) -> None:
        """Stop listening, once subscribers took what is queued or `linger` is over. A second call does nothing."""
        self._resources.close()

    def _keep(self, message: Message) -> None:
        self.serve()
        name, body = topic(message), pack(message)
        self._last[name] = body
        self._send(name, body, 0.0)

    def _send(self, name: bytes, body: bytes, patience: float) -> bool:
        """Send to all; to all others where a queue stays full for `patience` seconds.

        ZeroMQ tells of the first message that does not fit a queue, then leaves that subscriber out until it has read
        half of the queue: so this counts how often that happens, and the subscriber how many frames it cost.
        """
        self._socket.set(zmq.SNDTIMEO, round(patience * 1000))
        try:
            self._socket.send_multipart([name, body])
        except zmq.Again:
            self._socket.set(zmq.XPUB_NODROP, 0)
            self._socket.send_multipart([name, body])
            self._socket.set(zmq.XPUB_NODROP, 1)
            self.overruns += 1
            _log.warning("a subscriber of %s is too slow and loses messages", name.decode())
            return False
        return True


def _beside(endpoint: str, port: int) -> str:
    """Where the replay socket of a publisher at `endpoint` listens."""
    return f"{endpoint.rpartition(':')[0]}:{port}" if endpoint.startswith("tcp:") else f"{endpoint}.replay"


def _anywhere(endpoint: str) -> str:
    """`endpoint` as subscribers are told: with `*` for the host, which they know better than we do."""
    return f"tcp://*:{endpoint.rpartition(':')[2]}" if endpoint.startswith("tcp:") else endpoint
