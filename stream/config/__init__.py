"""The configuration: every option with its type, default, range and meaning."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from stream.config.addresses import taken_twice
from stream.config.base import ConfigError, Problem, Section
from stream.config.networks import DetectorConfig, MasksConfig, PoseConfig, TrackConfig
from stream.config.outputs import ControlConfig, PublishConfig, RecordConfig, SecurityConfig, WebConfig
from stream.config.streams import IN_ONE_PROCESS, BatchConfig, DecodeConfig, StreamConfig

__all__ = [
    "IN_ONE_PROCESS",
    "BatchConfig",
    "Config",
    "ConfigError",
    "ControlConfig",
    "DecodeConfig",
    "DetectorConfig",
    "MasksConfig",
    "PoseConfig",
    "Problem",
    "PublishConfig",
    "RecordConfig",
    "Section",
    "SecurityConfig",
    "StreamConfig",
    "TrackConfig",
    "WebConfig",
]


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

    @model_validator(mode="after")
    def _addresses_keep_apart(self) -> Self:
        if taken := taken_twice(self.publish, self.control, self.web):
            section, option, other = taken
            message = "must be another address or port: {other} has this one"
            raise PydanticCustomError("address", message, {"other": other, "at": (section, option)})
        return self

    @model_validator(mode="after")
    def _hardware_fits_isolation(self) -> Self:
        for number, stream in enumerate(self.streams):
            if self.decode.hardware == "cuda" and stream.isolation == "process":
                raise PydanticCustomError("isolation", IN_ONE_PROCESS, {"at": ("streams", number, "isolation")})
        return self
