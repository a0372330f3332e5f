"""The configuration: every option with its type, default, range and meaning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stream.uri import is_live


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `where` it was written, the dotted `key` ("" for none), and what to do about it."""

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used. Its text has one line for each of its `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Backend = Annotated[
    Literal["auto", "torch", "openvino"],
    Field(description="its runtime; auto: the fastest installed one that passes the parity check"),
]
Weights = Annotated[
    str,
    Field(
        min_length=1,
        description="pretrained: the zoo's, fetched where needed; random: none, to try how fast it is; or the path of "
        "your own file",
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(description="its arithmetic; auto: the lowest that keeps its accuracy"),
]


class Section(BaseModel):
    """A part of the configuration: immutable, no guessing of types, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def _web_address(address: str | None) -> str | None:
    match = re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[^:\s/@]+):(\d{1,5})", address or "")
    if address is not None and not (match and int(match[1]) <= 65_535):
        raise PydanticCustomError("address", "must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080")
    return address


def _endpoint(endpoint: str | None) -> str | None:
    match = re.fullmatch(r"tcp://[^\s/]+:(\d{1,5}|\*)|ipc://.+", endpoint or "")
    port = match[1] if match else None
    if endpoint is not None and not (match and (port in (None, "*") or int(port) <= 65_535)):
        raise PydanticCustomError("endpoint", "must be like tcp://127.0.0.1:5555 or ipc:///run/people.sock")
    return endpoint


def _printable(stream: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,200}", stream):
        raise PydanticCustomError("stream_id", "must be 1 to 200 letters, digits, dots, underscores and hyphens")
    return stream


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
    max_latency_ms: Annotated[
        float | None,
        Field(
            ge=0,
            description="with latest: a frame that has waited longer to be processed is dropped, milliseconds; 0: "
            "however long; null: batch.max_latency_ms",
        ),
    ] = None

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


class DetectorConfig(Section):
    """Finding people."""

    model: Annotated[str, Field(description="name in the zoo: peoplestream models list")] = "yolox-tiny-humanart"
    weights: Weights = "pretrained"
    height: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 480
    width: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 640
    score: Annotated[
        Fraction, Field(description="lowest score of a detection; what becomes of low ones, the tracker decides")
    ] = 0.3
    nms_iou: Annotated[
        Fraction, Field(description="two boxes that overlap by more (intersection over union) are one person")
    ] = 0.65
    max_people: Annotated[int, Field(ge=1, description="people in one frame at most; the best are kept")] = 100
    every: Annotated[
        int,
        Field(
            ge=1,
            description="frames from one detection to the next; in between people are followed by their keypoints and "
            "motion, and a detection comes early when somebody gets lost or something moves elsewhere",
        ),
    ] = 1
    backend: Backend = "auto"
    precision: Precision = "auto"


class PoseConfig(Section):
    """Keypoints of the people found."""

    model: Annotated[
        str | None, Field(description="name in the zoo; null: no keypoints but those that the detector gives itself")
    ] = "rtmpose-s-halpe26"
    weights: Weights = "pretrained"
    every: Annotated[
        int,
        Field(
            ge=1,
            description="between detections, frames from one look at a person's keypoints to the next; in between they "
            "move with the person",
        ),
    ] = 1
    oks_nms: Annotated[
        Fraction,
        Field(description="two people whose keypoints are more alike (OKS) are one person; 1: all are kept"),
    ] = 1.0
    flip_test: Annotated[
        bool, Field(description="look at everybody twice, once mirrored: a little more accurate at twice the time")
    ] = False
    backend: Backend = "auto"
    precision: Precision = "auto"


class MasksConfig(Section):
    """Masks of the people found, for the streams that want them."""

    model: Annotated[
        str | None, Field(description="name in the zoo; null: no masks but those that the detector gives itself")
    ] = "blazepose-full"
    weights: Weights = "pretrained"
    every: Annotated[
        int, Field(ge=1, description="frames from one mask of a person to the next; in between it moves along")
    ] = 1
    encoding: Annotated[
        Literal["rle", "polygon"],
        Field(description="as what they are sent and recorded: rle (exact) or polygon (outlines, half the bytes)"),
    ] = "rle"
    backend: Backend = "auto"
    precision: Precision = "auto"


class TrackConfig(Section):
    """Following people from frame to frame, for each stream alone."""

    high_score: Annotated[
        Fraction, Field(description="score from which a detection may begin a track and is matched to tracks first")
    ] = 0.65
    low_score: Annotated[
        Fraction, Field(description="score from which a detection may continue a track; below, it is ignored")
    ] = 0.1
    min_overlap: Annotated[
        Fraction,
        Field(gt=0, description="least overlap of a high detection with its track's box (IoU x squared height ratio)"),
    ] = 0.1
    min_overlap_low: Annotated[Fraction, Field(gt=0, description="the same for a low detection")] = 0.3
    keypoint_weight: Annotated[
        Fraction, Field(description="share of the keypoints (OKS) beside the boxes where people compete for a track")
    ] = 0.7
    confirm_frames: Annotated[
        int, Field(ge=1, description="frames in a row that a person must be seen in to be published")
    ] = 2
    lost_seconds: Annotated[Positive, Field(description="how long a person who is hidden keeps the id, seconds")] = 2.0
    predict_seconds: Annotated[
        float, Field(ge=0, description="how long a person who is hidden is published as predicted, seconds; 0: never")
    ] = 0.0
    max_tracks: Annotated[int, Field(ge=1, description="people remembered at most, the last seen; bounds memory")] = 300
    motion_noise: Annotated[
        Positive, Field(description="how freely people change speed, box heights / s^1.5; more: boxes follow faster")
    ] = 0.35
    box_noise: Annotated[
        Positive, Field(description="error of a detected box's centre, box heights; more: boxes are smoother")
    ] = 0.05
    smooth_keypoints: Annotated[bool, Field(description="whether keypoints are smoothed (one-euro filter)")] = False
    smooth_cutoff: Annotated[
        Positive, Field(description="cutoff frequency for a limb at rest, Hz; less: smoother, but slower")
    ] = 1.5
    smooth_speed: Annotated[
        float, Field(ge=0, description="rise of the cutoff with speed, Hz per (box height / s); more: less lag")
    ] = 5.0


class PublishConfig(Section):
    """Sending results to other programs."""

    endpoint: Annotated[
        str | None,
        AfterValidator(_endpoint),
        Field(description="where to listen, such as tcp://127.0.0.1:5555; null: nothing is published"),
    ] = None
    high_water_mark: Annotated[int, Field(ge=1, description="messages kept for one slow subscriber")] = 1000
    replay_mib: Annotated[
        int, Field(ge=0, description="frames kept for subscribers that missed them, MiB of all streams; 0: none")
    ] = 64
    replay_seconds: Annotated[Positive, Field(description="how long they are kept at most, seconds")] = 30.0
    replay_port: Annotated[
        int, Field(ge=0, le=65535, description="where they can be fetched, on the host of endpoint; 0: any free port")
    ] = 0
    wait_subscribers: Annotated[int, Field(ge=0, description="begin when every stream has so many subscribers")] = 0
    wait_seconds: Annotated[Positive, Field(description="how long that may take, seconds")] = 60.0


class SecurityConfig(Section):
    """Who may connect to the sockets that are opened: results, replay and control."""

    keys: Annotated[
        str | None,
        Field(
            description="folder made by `peoplestream keys`: connections are encrypted, its clients alone are let in; "
            "null: everybody who reaches the address"
        ),
    ] = None
    insecure: Annotated[bool, Field(description="listen where other machines reach it, even without keys")] = False


class RecordConfig(Section):
    """Writing results to files."""

    dir: Annotated[str | None, Field(description="folder of the recordings; null: nothing is recorded")] = None
    formats: Annotated[
        tuple[Literal["jsonl", "jsonl.zst", "mp4", "mot", "coco"], ...],
        Field(
            strict=False,
            description="what is written for each stream: jsonl (all results), jsonl.zst (the same, compressed), "
            "mp4 (video with the results drawn in), mot (MOTChallenge text), coco (COCO results)",
        ),
    ] = ("jsonl", "mp4")
    segment_seconds: Annotated[
        float | None, Field(ge=1, description="how long a file goes on before another begins, seconds; null: for ever")
    ] = None
    segment_mb: Annotated[
        float | None, Field(ge=0.1, description="size after which another file begins, megabytes; null: any size")
    ] = None
    keep_segments: Annotated[
        int | None,
        Field(ge=2, description="files of each stream and format that are kept; the oldest go first; null: all"),
    ] = None

    @model_validator(mode="after")
    def _only_segments_are_deleted(self) -> Self:
        if self.keep_segments is not None and self.segment_seconds is None and self.segment_mb is None:
            raise PydanticCustomError(
                "keep_segments",
                "needs segments: give record.segment_seconds or record.segment_mb as well",
                {"at": ("keep_segments",)},
            )
        return self


class ControlConfig(Section):
    """Taking commands while it runs: add, remove, change, pause and resume streams."""

    endpoint: Annotated[
        str | None,
        AfterValidator(_endpoint),
        Field(description="where commands are taken, such as tcp://127.0.0.1:5556; null: nowhere"),
    ] = None
    keep_running: Annotated[
        bool, Field(description="go on when no stream is left, until stopped; always so where commands are taken")
    ] = False


class WebConfig(Section):
    """The live page, /metrics, /healthz and /readyz."""

    address: Annotated[
        str | None,
        AfterValidator(_web_address),
        Field(
            description="where browsers connect, such as 127.0.0.1:8080; null: no page. Others than this machine "
            "need a token, which is made up and shown unless PEOPLESTREAM_TOKEN gives it"
        ),
    ] = None
    fps: Annotated[float, Field(gt=0, le=60, description="pictures per second that one viewer gets at most")] = 12.0


class Config(Section):
    """Everything that a run can be told."""

    streams: Annotated[
        tuple[StreamConfig, ...], Field(strict=False, description="The streams to watch, each with an id of its own.")
    ] = ()
    decode: DecodeConfig = DecodeConfig()
    batch: BatchConfig = BatchConfig()
    detector: DetectorConfig = DetectorConfig()
    pose: PoseConfig = PoseConfig()
    masks: MasksConfig = MasksConfig()
    track: TrackConfig = TrackConfig()
    publish: PublishConfig = PublishConfig()
    security: SecurityConfig = SecurityConfig()
    record: RecordConfig = RecordConfig()
    control: ControlConfig = ControlConfig()
    web: WebConfig = WebConfig()
    threads: Annotated[
        int, Field(ge=0, description="processor threads that the networks use together; 0: one per core")
    ] = 0

    @property
    def keeps_running(self) -> bool:
        """Whether it goes on when no stream is left: more may be added."""
        return self.control.keep_running or self.control.endpoint is not None or self.web.address is not None

    @field_validator("streams")
    @classmethod
    def _ids_are_unique(cls, streams: tuple[StreamConfig, ...]) -> tuple[StreamConfig, ...]:
        ids = [stream.id for stream in streams]
        for stream, count in Counter(ids).items():
            if count > 1:
                again = len(ids) - 1 - ids[::-1].index(stream)
                raise PydanticCustomError(
                    "stream_id", "must be another: {stream} is taken", {"stream": stream, "at": (again, "id")}
                )
        return streams
