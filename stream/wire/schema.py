"""Messages to bytes and back: topic and MessagePack body, version 1.

A body is a map with the names that the JSON lines use, so any MessagePack library reads it without a schema. One field
is packed: `keypoints`, 51 numbers for each person, are little-endian float32 bytes. They would be half of the bytes and
most of the time otherwise; every language reads such an array in a line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np

from stream.types import KEYPOINTS, Float, FrameResult, StreamInfo
from stream.wire._fields import SchemaError, VersionError
from stream.wire.records import (
    VERSION,
    StreamStatus,
    info_record,
    read_info,
    read_result,
    read_status,
    result_record,
    status_record,
)

__all__ = ["MAX_BYTES", "VERSION", "Message", "SchemaError", "StreamStatus", "VersionError", "pack", "topic", "unpack"]

Message = FrameResult | StreamInfo | StreamStatus

MAX_BYTES = 1 << 24
"""The largest body a reader takes, 16 MiB; a frame of 12 people with masks has some 6 kB."""

_LIMITS = {"max_array_len": 4096, "max_map_len": 256, "max_str_len": MAX_BYTES, "max_bin_len": 4096, "max_ext_len": 16}
"""A few bytes can claim a list of billions: these bound what is allocated before the claim is checked."""


def topic(message: Message) -> bytes:
    """The topic of a message: its kind and the id of its stream."""
    kind = {FrameResult: "people", StreamInfo: "info", StreamStatus: "status"}[type(message)]
    return f"{kind}/{message.stream}".encode()


def pack(message: Message) -> bytes:
    """The body of a message."""
    if isinstance(message, FrameResult):
        record = _packed_result(message)
    elif isinstance(message, StreamInfo):
        record = info_record(message)
    else:
        record = status_record(message)
    packed: bytes = msgpack.packb(record)
    return packed


def unpack(topic: bytes, body: bytes) -> Message:
    """The message of a topic and its body.

    Raises:
        SchemaError: one of them is not what version 1 describes; a subclass, `VersionError`, for another major version.
    """
    kind, _, stream = topic.partition(b"/")
    reader = _READERS.get(kind)
    if reader is None:
        raise SchemaError(f"no message is called {kind[:40]!r}: topics begin with people/, info/ or status/")
    try:
        message = reader(unpack_map(body))
    except SchemaError as error:
        raise type(error)(f"message {topic[:80].decode(errors='replace')!r}: {error}") from None
    if message.stream.encode() != stream:
        raise SchemaError(f"the topic {topic[:80].decode(errors='replace')!r} brings stream {message.stream!r}")
    return message


def unpack_map(body: bytes) -> Any:
    """What `body` holds, not looked at yet; raises `SchemaError` where it is too large or no MessagePack."""
    if len(body) > MAX_BYTES:
        raise SchemaError(f"the body has {len(body)} bytes, more than {MAX_BYTES}")
    try:
        return msgpack.unpackb(body, **_LIMITS)
    except (ValueError, TypeError, OverflowError) as error:  # bad or missing bytes, a limit, a key that is no text
        raise SchemaError(f"the body is not MessagePack within the limits of version 1 ({error})") from None


def _packed_result(result: FrameResult) -> dict[str, Any]:
    people = result.people
    return result_record(
        result,
        boxes=people.boxes.tolist(),
        scores=people.scores.tolist(),
        keypoints=[keypoints.tobytes() for keypoints in np.asarray(people.keypoints, "<f4")],
        velocity=people.velocity.tolist(),
    )


def _keypoints(values: list[Any]) -> Float:
    size = len(KEYPOINTS) * 3 * 4
    if not all(isinstance(value, bytes) and len(value) == size for value in values):
        raise SchemaError(f"field 'keypoints' is not {size} bytes, a little-endian float32 [{len(KEYPOINTS)}, 3]")
    keypoints = np.frombuffer(b"".join(values), "<f4").astype(np.float32)
    if not np.isfinite(keypoints).all():
        raise SchemaError("field 'keypoints' has a number that is not finite")
    return keypoints.reshape(len(values), len(KEYPOINTS), 3)


_READERS: dict[bytes, Callable[[Any], Message]] = {
    b"people": lambda record: read_result(record, _keypoints),
    b"info": read_info,
    b"status": read_status,
}
