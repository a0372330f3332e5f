"""What a run was: the figures that are shown and written when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from models.backends import Choice
from models.machine import machine
from stream.metrics import Series


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream's part of a run.

    Attributes:
        frames: delivered. people: rows delivered, all frames together. ids: different persons.
        dropped: frames lost between the source and the publisher's socket, by reason.
        overruns: how often a subscriber fell so far behind that it lost frames; it counts them itself.
        error: why it ended before its time, or None.
        put_off: what had to wait because of a budget, by work: detections, keypoints and masks, pieces of each.
        decoder: "nvdec" or "software", "" where it was no video; decoder_reason: why it was software.
        fallbacks: how often it was decoded in software although the GPU was to do it, by the kind of reason.
    """

    stream: str
    frames: int
    people: int
    ids: int
    dropped: dict[str, int]
    overruns: int = 0
    error: str | None = None
    put_off: dict[str, int] = field(default_factory=dict)
    decoder: str = ""
    decoder_reason: str = ""
    fallbacks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A whole run.

    Attributes:
        seconds: from the first decoded frame to the last delivered one.
        latency: from the decoded frame to its published result.
        stages: milliseconds by stage; those named `model/...` are the networks alone.
        models: role -> name in the zoo; choices: role -> the backend that ran it and why.
        threads: processor threads that the networks used together.
        out_of_memory: how often a batch did not fit into a GPU's memory and was halved.
        recorded: the files that were written; failures: what could not be recorded, a sentence each.
    """

    seconds: float
    streams: tuple[StreamSummary, ...]
    latency: Series
    stages: dict[str, Series]
    models: dict[str, str]
    choices: dict[str, Choice]
    threads: int
    recorded: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    out_of_memory: int = 0

    @property
    def frames(self) -> int:
        return sum(stream.frames for stream in self.streams)

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0

    @property
    def people_per_frame(self) -> float:
        return sum(stream.people for stream in self.streams) / self.frames if self.frames else 0.0

    @property
    def dropped(self) -> int:
        return sum(sum(stream.dropped.values()) for stream in self.streams)

    def as_json(self) -> dict[str, Any]:
        """The object that `bench pipeline --json` and `run --json` print."""
        return {
            "fps": round(self.fps, 3),
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "people_per_frame": round(self.people_per_frame, 3),
            "latency_ms": {
                "p50": round(self.latency.p50_ms, 3),
                "p95": round(self.latency.p95_ms, 3),
                "p99": round(self.latency.p99_ms, 3),
            },
            "stages": {name: _stage(series, self.frames) for name, series in self.stages.items()},
            "dropped": self.dropped,
            "streams": [
                {
                    "stream": stream.stream,
                    "frames": stream.frames,
                    "people": stream.people,
                    "ids": stream.ids,
                    "dropped": stream.dropped,
                    "overruns": stream.overruns,
                    "error": stream.error,
                    "put_off": stream.put_off,
                    "decoder": stream.decoder,
                    "decoder_reason": stream.decoder_reason,
                    "fallbacks": stream.fallbacks,
                }
                for stream in self.streams
            ],
            "machine": machine(),
            "models": self.models,
            "backend": {role: choice.backend for role, choice in self.choices.items()},
            "precision": {role: choice.precision for role, choice in self.choices.items()},
            "reason": {role: choice.reason for role, choice in self.choices.items()},
            "refused": {role: list(choice.refused) for role, choice in self.choices.items()},
            "threads": self.threads,
            "recorded": list(self.recorded),
            "failures": list(self.failures),
            "out_of_memory": self.out_of_memory,
        }


def _stage(series: Series, frames: int) -> dict[str, float]:
    return {
        "ms_per_frame": round(series.total_ms / frames, 4) if frames else 0.0,
        "p50": round(series.p50_ms, 4),
        "p95": round(series.p95_ms, 4),
        "calls": series.count,
    }
