"""The wire between peoplestream and other programs: messages, publisher, subscriber; see `docs/wire.md`.

Subscribers are other people's services, so this package imports in a fraction of a second and needs numpy, pyzmq and
msgpack alone (and pycocotools once a mask is decoded).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stream.types import FrameResult, Mask, People, StreamInfo
from stream.wire._endpoint import EndpointError
from stream.wire.jsonl import from_json, to_json
from stream.wire.keys import KeyFolder, KeyPair, SecurityError
from stream.wire.publisher import Publisher
from stream.wire.replay import Replay
from stream.wire.schema import VERSION, Message, SchemaError, StreamStatus, VersionError, pack, topic, unpack
from stream.wire.security import Security
from stream.wire.subscriber import Subscriber

if TYPE_CHECKING:
    from stream.wire.aio import AsyncSubscriber

__all__ = [
    "VERSION", "AsyncSubscriber", "EndpointError", "FrameResult", "KeyFolder", "KeyPair", "Mask", "Message", "People",
    "Publisher", "Replay", "SchemaError", "Security", "SecurityError", "StreamInfo", "StreamStatus", "Subscriber",
    "VersionError", "from_json", "pack", "to_json", "topic", "unpack",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name != "AsyncSubscriber":
        raise AttributeError(f"module 'stream.wire' has no attribute '{name}'")
    from stream.wire.aio import AsyncSubscriber  # when it is first used: asyncio takes longer to import than the rest

    return AsyncSubscriber
