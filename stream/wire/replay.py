"""Frames kept for those who missed them: a ring bounded in bytes and seconds, and the thread that serves it."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import zmq

from stream.wire._answers import MAX_REQUEST, pack_answer, pack_refusal, read_request
from stream.wire.schema import SchemaError, StreamStatus
from stream.wire.security import Guard

_log = logging.getLogger(__name__)

_ANSWER = 1 << 20
"""Bytes after which an answer ends, so that one request holds up the next for some milliseconds at most."""

_ANSWERS_WAITING = 2
"""Answers that may wait for one client; more are dropped, as it cannot have asked for them in good faith."""

_TICK_MS = 100
"""Milliseconds after which the thread looks whether it is to end."""

_OVERHEAD = 200
"""Bytes that keeping a frame costs beside its body."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What a publisher keeps for those who missed it: the newest frames, within both bounds.

    Attributes:
        bytes: of all streams together.
        seconds: how old a frame may become.
        port: of the replay socket, 0 takes a free one; an ipc endpoint becomes `<endpoint>.replay` instead.
    """

    bytes: int = 64 << 20
    seconds: float = 30.0
    port: int = 0


class _Kept(NamedTuple):
    seq: int
    at: float
    body: bytes


@dataclass(slots=True)
class _Stream:
    run: str
    next: int = 0
    frames: deque[_Kept] = field(default_factory=deque)
    status: StreamStatus | None = None


class Ring:
    """The newest frames of all streams as they were published, and the run that their numbers belong to.

    A run is one counting of a stream from 0: who sees another one knows that the numbers begin anew. Several threads
    may use a ring.
    """

    def __init__(self, limits: Replay) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._order: deque[str] = deque()  # the stream of each kept frame, oldest first
        self._bytes = 0

    def run(self, stream: str) -> str:
        """The stream's run."""
        with self._lock:
            return self._stream(stream).run

    def put(self, stream: str, seq: int, body: bytes) -> bool:
        """Keep a frame; False where its `seq` shows that a new run has begun."""
        with self._lock:
            same = seq >= self._stream(stream).next
            if not same:
                self._forget(stream)
            kept = self._stream(stream)
            kept.next = seq + 1
            kept.frames.append(_Kept(seq, time.monotonic(), body))
            self._order.append(stream)
            self._bytes += len(body) + _OVERHEAD
            self._evict()
            return same

    def note(self, status: StreamStatus) -> None:
        """Keep the last status of a stream."""
        with self._lock:
            self._stream(status.stream).status = status

    def forget(self, stream: str) -> None:
        """Drop a stream; should it come again, that is a new run."""
        with self._lock:
            self._forget(stream)

    def answer(self, body: bytes) -> list[bytes]:
        """The answer to a request, which may be anything."""
        try:
            request = read_request(body)
        except SchemaError as error:
            return pack_refusal(str(error))
        with self._lock:
            self._evict()
            kept = self._streams.get(request.stream)
            if kept is None or request.run not in ("", kept.run):
                run, status = (kept.run, kept.status) if kept else ("", None)
                return pack_answer(request.stream, run, request.first, request.first, status, ())
            to = max(request.first, min(request.to, kept.next))
            bodies: list[bytes] = []
            size = 0
            for place in range(bisect_left(kept.frames, request.first, key=lambda frame: frame.seq), len(kept.frames)):
                frame = kept.frames[place]
                if frame.seq >= to:
                    break
                if bodies and size + len(frame.body) > _ANSWER:
                    to = frame.seq
                    break
                bodies.append(frame.body)
                size += len(frame.body)
            return pack_answer(request.stream, kept.run, request.first, to, kept.status, bodies)

    def _stream(self, stream: str) -> _Stream:
        if stream not in self._streams:
            self._streams[stream] = _Stream(uuid.uuid4().hex[:16])
        return self._streams[stream]

    def _forget(self, stream: str) -> None:
        dropped = self._streams.pop(stream, None)
        if dropped is not None and dropped.frames:
            self._order = deque(other for other in self._order if other != stream)
            self._bytes -= sum(len(frame.body) + _OVERHEAD for frame in dropped.frames)

    def _evict(self) -> None:
        oldest = time.monotonic() - self._limits.seconds
        while self._order:
            frames = self._streams[self._order[0]].frames
            if self._bytes <= self._limits.bytes and frames[0].at >= oldest:
                break
            self._order.popleft()
            self._bytes -= len(frames.popleft().body) + _OVERHEAD


class ReplayServer:
    """Answers requests for frames of a ring in a thread of its own, until it is closed.

    Raises:
        EndpointError, SecurityError: as `Guard.bind` does.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], guard: Guard, endpoint: str, ring: Ring) -> None:
        self._ring = ring
        self._stopping = threading.Event()
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, MAX_REQUEST)
        self._socket.set(zmq.SNDHWM, _ANSWERS_WAITING)
        try:
            guard.bind("replay missed frames at", self._socket, endpoint)
        except BaseException:
            self._socket.close()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._serve, name="replay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and free the address. A second call does nothing."""
        self._stopping.set()
        self._thread.join()

    def _serve(self) -> None:
        with self._socket:
            while not self._stopping.is_set():
                if not self._socket.poll(_TICK_MS):
                    continue
                try:
                    parts = self._socket.recv_multipart(zmq.NOBLOCK)
                except zmq.Again:  # what had arrived was no request, and ZeroMQ has dropped it
                    continue
                answer = self._ring.answer(parts[0]) if len(parts) == 1 else pack_refusal("a request has one part")
                self._socket.send_multipart(answer, zmq.NOBLOCK, copy=False)
