"""The configuration: typed, validated, and explained where it is wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Backend = Literal["auto", "torch", "openvino"]
Precision = Literal["auto", "float32", "bfloat16"]


class Section(BaseModel):
    """A part of the configuration: immutable, and an unknown key in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StreamConfig(Section):
    """One stream to watch."""

    id: str = Field(min_length=1, pattern=r"^[A-Za-z0-9._-]+$")
    source: str = Field(min_length=1)
    pace: Literal["fast", "realtime"] = "fast"
    loop: bool = False
    fps: Annotated[float, Field(ge=0)] = 0
    masks: bool = True


class DecodeConfig(Section):
    threads: Annotated[int, Field(ge=1, le=16)] = 1
    queue: Annotated[int, Field(ge=1)] = 4


class BatchConfig(Section):
    size: Annotated[int, Field(ge=1)] = 4
    deadline_ms: Annotated[float, Field(ge=0)] = 20


class DetectorConfig(Section):
    model: str = "yolox-tiny-humanart"
    height: Annotated[int, Field(ge=64, multiple_of=32)] = 480
    width: Annotated[int, Field(ge=64, multiple_of=32)] = 640
    score: Fraction = 0.1
    nms_iou: Fraction = 0.65
    max_people: Annotated[int, Field(ge=1)] = 100
    backend: Backend = "auto"
    precision: Precision = "auto"


class PoseConfig(Section):
    model: str | None = "rtmpose-s-halpe26"
    backend: Backend = "auto"
    precision: Precision = "auto"


class MasksConfig(Section):
    model: str | None = "blazepose-full"
    backend: Backend = "auto"
    precision: Precision = "auto"


class TrackConfig(Section):
    """Filled by the tracking room."""


class PublishConfig(Section):
    endpoint: str | None = None


class RecordConfig(Section):
    dir: str | None = None


class Config(Section):
    streams: tuple[StreamConfig, ...] = ()
    decode: DecodeConfig = DecodeConfig()
    batch: BatchConfig = BatchConfig()
    detector: DetectorConfig = DetectorConfig()
    pose: PoseConfig = PoseConfig()
    masks: MasksConfig = MasksConfig()
    track: TrackConfig = TrackConfig()
    publish: PublishConfig = PublishConfig()
    record: RecordConfig = RecordConfig()
    threads: Annotated[int, Field(ge=0)] = 0
