"""Why a source fails: the kinds of failure, and FFmpeg's errors in words without the URI that they repeat."""

from __future__ import annotations

import errno
import socket
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from av import error as av

from stream.uri import KINDS, scheme

Fault: TypeAlias = Literal[
    "refused", "not found", "unknown host", "auth", "tls", "timeout", "codec", "corrupt",
    "ended", "crashed", "memory", "address", "other",
]  # fmt: skip
"""The kinds of failure. `ended`: the other side hung up; `crashed`, `memory`: the decoder died or grew too large;
`address`: no attempt will ever help, as the address itself makes no sense."""

HOPELESS: frozenset[Fault] = frozenset({"address"})
"""What is not tried again."""

_TLS = frozenset({"https", "rtsps", "tls"})


def classify(error: Exception, source: str, *, live: bool, timeout: float) -> tuple[Fault, str]:
    """The kind of a failure of PyAV's, and one phrase for a person.

    Args:
        error: what PyAV raised.
        source: what was being read; it is not repeated in the phrase.
        live: whether it is a feed.
        timeout: seconds that were waited for an answer.
    """
    if isinstance(error, av.ExitError | TimeoutError):
        return "timeout", f"no answer within {timeout:g} seconds"
    if isinstance(error, av.InvalidDataError):
        return (
            "corrupt",
            "sends nothing that can be read as video" if live else "not a video, or cut off before its index",
        )
    if isinstance(error, av.ProtocolNotFoundError):
        return "address", f"there is no such kind of address here; {KINDS}"
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return "auth", "refuses these credentials"
    if isinstance(error, av.HTTPNotFoundError | FileNotFoundError):
        return "not found", "there is nothing under this address"
    if isinstance(error, ConnectionRefusedError):
        return "refused", "nobody answers at this address (connection refused)"
    if isinstance(error, ConnectionError):
        return "ended", "the other side hung up"
    if isinstance(error, av.DecoderNotFoundError | av.DemuxerNotFoundError):
        return "codec", "its video is of a kind that cannot be decoded here"
    if getattr(error, "errno", None) == errno.EIO:
        return _input_output(source, live)
    return "other", str(getattr(error, "strerror", None) or type(error).__name__).lower()


def _input_output(source: str, live: bool) -> tuple[Fault, str]:
    """FFmpeg has one "input/output error" for a host without an address, a failed handshake and a failed disk."""
    if not live:
        return "other", "the disk failed"
    try:
        host = urlsplit(source).hostname
        if host:
            socket.getaddrinfo(host, None)
    except (OSError, ValueError, UnicodeError):
        return "unknown host", "the name of its host cannot be resolved"
    if scheme(source) in _TLS:
        return "tls", "no encrypted connection comes about (TLS)"
    return "other", "the connection broke down"
