"""How FFmpeg is told to connect to a feed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from stream.uri import scheme

Transport: TypeAlias = Literal["auto", "tcp", "udp"]

_RTSP = {
    "allowed_media_types": "video",  # sound would be sent, and thrown away
    "fflags": "nobuffer",  # what arrives while FFmpeg looks for the rate would come out at once, and late
    "analyzeduration": "500000",  # microseconds; the description names the codec, so less than FFmpeg's 5 s will do
}


@dataclass(frozen=True, slots=True)
class Address:
    """What FFmpeg opens: a URL, its options and, where the URL does not tell, the format."""

    url: str
    options: dict[str, str] = field(default_factory=dict)
    format: str | None = None

    @property
    def is_web(self) -> bool:
        """Whether it is a web server's, from which both files and feeds come."""
        return scheme(self.url) in ("http", "https")


def address(source: str, transport: Transport) -> Address:
    """How to open the live `source`; `transport` is for RTSP, `auto` tries TCP before UDP."""
    kind = scheme(source)
    if kind in ("rtsp", "rtsps"):
        how = {"rtsp_flags": "prefer_tcp"} if transport == "auto" else {"rtsp_transport": transport}
        return Address(source, {**_RTSP, **how})
    if kind == "udp":
        return Address(source, {"overrun_nonfatal": "1", "fflags": "nobuffer", "analyzeduration": "1000000"})
    if kind == "v4l2":
        return Address(source[len("v4l2://") :], format="v4l2")
    if kind is None:  # a device file
        return Address(source, format="v4l2")
    return Address(source)
