"""The wire between peoplestream and other programs: messages, publisher, subscriber; see `docs/wire.md`.

Subscribers are other people's services, so this package imports in a fraction of a second and needs numpy, pyzmq and
msgpack alone (and pycocotools once a mask is decoded).
"""

from stream.types import FrameResult, Mask, People, StreamInfo
from stream.wire._endpoint import EndpointError
from stream.wire.jsonl import from_json, to_json
from stream.wire.publisher import Publisher
from stream.wire.schema import VERSION, Message, SchemaError, StreamStatus, VersionError, pack, topic, unpack
from stream.wire.subscriber import Subscriber

__all__ = [
    "VERSION", "EndpointError", "FrameResult", "Mask", "Message", "People", "Publisher", "SchemaError", "StreamInfo",
    "StreamStatus", "Subscriber", "VersionError", "from_json", "pack", "to_json", "topic", "unpack",
]  # fmt: skip
