"""What is said on the replay socket: requests for missed frames, and answers; `docs/wire.md` explains each field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgpack

from stream.types import FrameResult
from stream.wire import _fields as read
from stream.wire._fields import SchemaError
from stream.wire.records import VERSION, StreamStatus, read_status, read_versioned, status_record
from stream.wire.schema import unpack, unpack_map

NO_END = 2**63 - 1
"""The `to` of a request for everything that there is."""

MAX_REQUEST = 1024
"""The largest request that is read, bytes."""


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for the frames of a stream with `first` <= seq < `to`, counted in the publisher's `run` ("": any)."""

    stream: str
    run: str
    first: int
    to: int


@dataclass(frozen=True, slots=True)
class Answer:
    """All frames with `first` <= seq < `to` that are still there, in order.

    `to` may be lower than what was asked for: where the answer would have become too large, or no frame is newer.
    """

    run: str
    first: int
    to: int
    frames: tuple[FrameResult, ...] = ()
    status: StreamStatus | None = None


def pack_request(request: Request) -> bytes:
    packed: bytes = msgpack.packb(
        {"v": VERSION, "stream": request.stream, "run": request.run, "from": request.first, "to": request.to}
    )
    return packed


def read_request(body: bytes) -> Request:
    """The request in `body`; raises `SchemaError` where there is none."""
    record = read_versioned(unpack_map(body))
    first = read.integer(record, "from")
    return Request(read.stream_id(record), read.text(record, "run"), first, read.integer(record, "to", low=first))


def pack_answer(
    stream: str, run: str, first: int, to: int, status: StreamStatus | None, bodies: Sequence[bytes]
) -> list[bytes]:
    """The parts of an answer: a header, and the frames as they were published."""
    header = {
        "v": VERSION,
        "stream": stream,
        "run": run,
        "from": first,
        "to": to,
        "status": None if status is None else status_record(status),
    }
    return [msgpack.packb(header), *bodies]


def pack_refusal(error: str) -> list[bytes]:
    """The answer to what was no request."""
    return [msgpack.packb({"v": VERSION, "error": error})]


def read_answer(request: Request, parts: Sequence[bytes]) -> Answer:
    """The answer to `request` in these parts.

    Raises:
        SchemaError: they are not one, or hold frames that were not asked for.
    """
    record = read_versioned(unpack_map(parts[0]))
    if "error" in record:
        raise SchemaError(f"the publisher refuses to replay: {read.text(record, 'error')[:200]}")
    status = read.field(record, "status")
    answer = Answer(
        run=read.text(record, "run"),
        first=read.integer(record, "from"),
        to=read.integer(record, "to"),
        frames=tuple(_frame(request.stream, body) for body in parts[1:]),
        status=None if status is None else read_status(status),
    )
    bounds = [request.first, *(frame.seq for frame in answer.frames), answer.to]
    rising = all(low < high for low, high in pairwise(bounds[1:]))
    if answer.first != request.first or not (rising and bounds[0] <= bounds[1] and answer.to <= request.to):
        raise SchemaError("the publisher replays other frames than those asked for")
    if read.stream_id(record) != request.stream or (answer.status and answer.status.stream != request.stream):
        raise SchemaError("the publisher replays another stream than the one asked for")
    return answer


def _frame(stream: str, body: bytes) -> FrameResult:
    frame: Any = unpack(f"people/{stream}".encode(), body)
    return frame  # type: ignore[no-any-return]
