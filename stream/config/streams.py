"""Options of the streams: where they come from, how they are decoded and batched."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stream.config.base import Fraction, Positive, Section
from stream.uri import impossible, is_live

IN_ONE_PROCESS = (
    "isolation: process and decode.hardware: cuda exclude each other, as pictures on a GPU cannot leave their "
    "process; give isolation: thread or auto, or hardware: auto"
)


def _printable(stream: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", stream):
        raise PydanticCustomError("stream_id", "must be 1 to 200 letters, digits, dots, underscores and hyphens")
    return stream


def _possible(source: str) -> str:
    if why := impossible(source):
        raise PydanticCustomError("source", "{why}", {"why": why, "at": ()})
    return source


class StreamConfig(Section):
    """One stream to watch."""

    id: Annotated[
        str, AfterValidator(_printable), Field(description="its name in every message: letters, digits, '.', '_', '-'")
    ]
    source: Annotated[
        str,
        Field(
            min_length=1,
            repr=False,  # it may hold a camera's password
            description="video file, image, folder or glob of images, testpattern://640x480@25?frames=100, "
            "rtsp://, rtsps://, http(s)://, udp://, v4l2:///dev/video0",
        ),
        AfterValidator(_possible),
    ]
    pace: Annotated[
        Literal["fast", "realtime"],
        Field(description="how a file is read: as fast as it can be, or as it plays"),
    ] = "fast"
    loop: Annotated[bool, Field(description="begin again at the end of a file")] = False
    fps: Annotated[
        float,
        Field(ge=0, description="cap, frames per second; 0: all frames. For images: their rate; 0: 25 per second"),
    ] = 0
    masks: Annotated[bool, Field(description="whether its people get masks")] = True
    region: Annotated[
        tuple[Annotated[tuple[Fraction, Fraction], Field(strict=False)], ...],
        Field(
            strict=False,
            description="corners of the part that matters, each x, y in 0..1 of the picture; who stands outside of it "
            "(middle of the box's lower edge) is left out; empty: everywhere",
        ),
    ] = ()
    max_height: Annotated[
        int, Field(ge=0, description="video that is taller is scaled down to so many pixels when decoded; 0: never")
    ] = 0
    transport: Annotated[
        Literal["auto", "tcp", "udp"],
        Field(description="how RTSP brings the video; auto: tcp, and udp where the camera has no tcp"),
    ] = "auto"
    open_timeout: Annotated[
        Positive, Field(description="how long a feed may take to be opened, and then until its first picture, seconds")
    ] = 10.0
    read_timeout: Annotated[
        Positive, Field(description="how long a feed may send no picture before it is connected to again, seconds")
    ] = 5.0
    isolation: Annotated[
        Literal["auto", "process", "thread"],
        Field(description="where its video is decoded; auto: a feed in a process of its own, a file in a thread"),
    ] = "auto"
    policy: Annotated[
        Literal["auto", "latest", "every"],
        Field(
            description="what becomes of frames that come faster than they are processed; latest: the newest waits, "
            "older ones are dropped; every: the source waits, none is dropped; auto: latest for feeds, every for files"
        ),
    ] = "auto"
    backlog: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            description="with latest: frames that may wait; more ride out a moment at which the networks take longer, "
            "and come later for it",
        ),
    ] = 1
    max_latency_ms: Annotated[
        float | None,
        Field(
            ge=0,
            description="with latest: a frame that has waited longer to be processed is dropped, milliseconds; 0: "
            "however long; null: batch.max_latency_ms",
        ),
    ] = None
    budget_ms: Annotated[
        float,
        Field(
            ge=0,
            description="what the networks may cost one frame of it, milliseconds, on the average; what would cost "
            "more is put off, masks first, then keypoints, then detections; 0: whatever it takes",
        ),
    ] = 0.0

    @field_validator("region")
    @classmethod
    def _has_an_area(cls, region: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if 0 < len(region) < 3:
            raise PydanticCustomError("region", "must have at least 3 corners, or none")
        return region

    @model_validator(mode="after")
    def _policy_fits(self) -> Self:
        if self.policy == "every" and self.is_live:
            message = "a feed does not wait until it is asked: give latest or auto"
            raise PydanticCustomError("policy", message, {"at": ("policy",)})
        if self.policy == "latest" and not self.is_live and self.pace == "fast":
            message = "would lose most of a file that is read as fast as possible: give pace: realtime as well"
            raise PydanticCustomError("policy", message, {"at": ("policy",)})
        if self.max_latency_ms and not self.drops:
            message = "nothing is dropped from a stream whose policy is every, as that of a file is: leave it out"
            raise PydanticCustomError("max_latency_ms", message, {"at": ("max_latency_ms",)})
        if self.backlog > 1 and not self.drops:
            message = "is for streams that drop frames; of a file, decode.queue says how many may wait"
            raise PydanticCustomError("backlog", message, {"at": ("backlog",)})
        return self

    @property
    def is_live(self) -> bool:
        """Whether it sends when it likes, as a camera does; a file waits until it is asked."""
        return is_live(self.source)

    @property
    def drops(self) -> bool:
        """Whether frames of it are dropped when they come too fast: its policy is `latest`, and not `every`."""
        return self.policy == "latest" or (self.policy == "auto" and self.is_live)


class DecodeConfig(Section):
    """Reading and decoding, per stream."""

    threads: Annotated[int, Field(ge=1, le=16, description="processor threads of one decoder")] = 1
    queue: Annotated[int, Field(ge=1, description="decoded frames of a file that may wait to be batched")] = 4
    memory_mb: Annotated[
        int, Field(ge=64, description="memory that a decoder in a process of its own may take, MiB; more: it restarts")
    ] = 1024
    hardware: Annotated[
        Literal["auto", "none", "cuda"],
        Field(
            description="who decodes; cuda: an NVIDIA GPU, where pictures stay, and the processor where it cannot; "
            "none: the processor; auto: cuda where there is a GPU, for streams whose isolation is not process"
        ),
    ] = "auto"
    sessions: Annotated[
        int, Field(ge=1, description="streams that the GPU may decode at once; the processor decodes those beyond")
    ] = 256


class BatchConfig(Section):
    """Frames of several streams in one call of the networks."""

    size: Annotated[int, Field(ge=1, description="frames in a batch at most, one of a stream")] = 4
    deadline_ms: Annotated[
        float, Field(ge=0, description="how long the first frame of a batch waits for others, milliseconds")
    ] = 20.0
    max_latency_ms: Annotated[
        float,
        Field(ge=0, description="max_latency_ms of the streams with policy latest that give none; 0: however long"),
    ] = 0.0
    budget_ms: Annotated[
        float,
        Field(
            ge=0,
            description="what the networks may cost a batch, milliseconds, on the average, which its streams share "
            "fairly; 0: whatever it takes",
        ),
    ] = 0.0
