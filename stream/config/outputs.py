"""Options of all that goes out: messages, recordings, commands, the live page."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from stream.config.base import Positive, Section


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
    insecure: Annotated[
        bool,
        Field(description="publish where other machines listen, even without keys; commands are never taken there"),
    ] = False


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
