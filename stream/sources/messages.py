"""What a decoder in a process of its own and the reader that watches it say to each other.

Over a socket that keeps the bounds of messages (SOCK_SEQPACKET), as JSON. First the request: source, options of the
`VideoReader`, log_level. Then from the decoder

* `opened`: fps, frames, finite; once
* `slab`: number, slots, slot_bytes, and with it the descriptor of a new `Slab`, when a picture is larger than any yet
* `picture`: slot, height, width, pts, at, clock
* `alive`: idle, seconds since it last made progress; dropped, what it has skipped so far, by reason; twice a second
* `log`: level, text
* `error`: fault, text; the last one
* `end`: the medium came to its end; the last one

and to the decoder two bytes for each picture that was taken: the numbers of its slab and of its slot, which is free
again. Pixels never go through the socket.
"""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST = 1 << 16
"""Bytes of one message at most."""

SLOTS = 4
"""Pictures that may wait to be taken; one more is dropped, as `busy`."""

BEAT = 0.5
"""Seconds between two signs of life."""

_LONGEST_TEXT = 4000


def send(channel: socket.socket, kind: str, fd: int | None = None, **fields: Any) -> None:
    """Send one message, and a descriptor with it.

    Raises:
        OSError: the other side is gone.
    """
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = value[:_LONGEST_TEXT]
    socket.send_fds(channel, [json.dumps({"kind": kind, **fields}).encode()], [] if fd is None else [fd])


def receive(channel: socket.socket) -> tuple[dict[str, Any], int | None] | None:
    """The next message and the descriptor that came with it; None when the other side is gone."""
    try:
        body, fds, _, _ = socket.recv_fds(channel, LARGEST, 1)
    except ConnectionError:
        return None
    return (json.loads(body), fds[0] if fds else None) if body else None
