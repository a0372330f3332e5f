"""What a check is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

Result: TypeAlias = Literal["pass", "fail", "unavailable"]
Figures: TypeAlias = dict[str, Any]


class FailedError(Exception):
    """A check does not pass; one sentence saying by how much, and the figures that it has until then."""

    def __init__(self, reason: str, figures: Figures | None = None) -> None:
        super().__init__(reason)
        self.figures = figures or {}


@dataclass(frozen=True, slots=True)
class Setting:
    """What all checks go by.

    Attributes:
        folder: for files that they make and share.
        images: a folder of photographs of people; None for drawn ones.
        latency_ms: limit of the p95 from a decoded frame to its published result, in the pipeline sweep.
    """

    folder: Path
    images: Path | None = None
    latency_ms: float = 150.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to find out.

    Attributes:
        name: by which `--only` knows it.
        limit: seconds that it may take.
        missing: says in one sentence why it cannot be tried here; None where it can.
        run: finds out; returns figures, and raises `FailedError` where they do not suffice.
    """

    name: str
    limit: float
    missing: Callable[[], str | None]
    run: Callable[[Setting], Figures]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a check.

    Attributes:
        reason: one sentence where it did not pass, else "".
        figures: what was measured.
        seconds: that it took.
        gpu: its clocks, temperature and what held it down, before and after; empty where it was not tried.
    """

    name: str
    result: Result
    reason: str = ""
    figures: Figures = field(default_factory=dict)
    seconds: float = 0.0
    gpu: dict[str, Any] = field(default_factory=dict)


def no_gpu() -> str | None:
    """Why PyTorch computes on no GPU here."""
    from models.backends.base import BackendUnavailableError
    from models.backends.nvidia import gpu

    try:
        gpu()
    except BackendUnavailableError as error:
        return str(error)
    return None
