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
Precision = Annotated[
    Literal["auto", "float32", "bfloat16"],
    Field(description="its arithmetic; auto: the lowest that keeps its accuracy"),
]


class Section(BaseModel):
    """A part of the configuration: immutable, no guessing of types, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


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
            description="video file, image, folder or glob of images, testpattern://640x480@25?frames=100, rtsp:// ...",
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

    @property
    def is_live(self) -> bool:
        """Whether it sends when it likes, as a camera does; a file waits until it is asked."""
        return is_live(self.source)


class DecodeConfig(Section):
    """Reading and decoding, per stream."""

    threads: Annotated[int, Field(ge=1, le=16, description="processor threads of one decoder")] = 1
    queue: Annotated[int, Field(ge=1, description="decoded frames of a file that may wait to be batched")] = 4


class BatchConfig(Section):
    """Frames of several streams in one call of the networks."""

    size: Annotated[int, Field(ge=1, description="frames in a batch at most")] = 4
    deadline_ms: Annotated[
        float, Field(ge=0, description="how long the first frame of a batch waits for others, milliseconds")
    ] = 20.0


class DetectorConfig(Section):
    """Finding people."""

    model: Annotated[str, Field(description="name in the zoo: peoplestream models list")] = "yolox-tiny-humanart"
    height: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 480
    width: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 640
    score: Annotated[
        Fraction, Field(description="lowest score of a detection; what becomes of low ones, the tracker decides")
    ] = 0.3
    nms_iou: Annotated[
        Fraction, Field(description="two boxes that overlap by more (intersection over union) are one person")
    ] = 0.65
    max_people: Annotated[int, Field(ge=1, description="people in one frame at most; the best are kept")] = 100
    backend: Backend = "auto"
    precision: Precision = "auto"


class PoseConfig(Section):
    """Keypoints of the people found."""

    model: Annotated[str | None, Field(description="name in the zoo; null: no keypoints")] = "rtmpose-s-halpe26"
    backend: Backend = "auto"
    precision: Precision = "auto"


class MasksConfig(Section):
    """Masks of the people found, for the streams that want them."""

    model: Annotated[str | None, Field(description="name in the zoo; null: no masks")] = "blazepose-full"
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
        str | None, Field(description="where to listen, such as tcp://127.0.0.1:5555; null: nothing is published")
    ] = None
    high_water_mark: Annotated[int, Field(ge=1, description="messages kept for one slow subscriber")] = 1000
    wait_subscribers: Annotated[int, Field(ge=0, description="begin when every stream has so many subscribers")] = 0
    wait_seconds: Annotated[Positive, Field(description="how long that may take, seconds")] = 60.0


class RecordConfig(Section):
    """Writing results to files."""

    dir: Annotated[str | None, Field(description="folder of the recordings; null: nothing is recorded")] = None
    formats: Annotated[
        tuple[Literal["jsonl", "mp4", "mot", "coco"], ...],
        Field(
            strict=False,
            description="what is written for each stream: jsonl (all results), mp4 (video with the results drawn in), "
            "mot (MOTChallenge text), coco (COCO results)",
        ),
    ] = ("jsonl", "mp4")


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
    record: RecordConfig = RecordConfig()
    threads: Annotated[
        int, Field(ge=0, description="processor threads that the networks use together; 0: one per core")
    ] = 0

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

    @model_validator(mode="after")
    def _masks_have_keypoints(self) -> Self:
        if self.masks.model and not self.pose.model:
            raise PydanticCustomError(
                "masks_model",
                "is placed by keypoints: give pose.model, or set masks.model to null as well",
                {"at": ("masks", "model")},
            )
        return self
