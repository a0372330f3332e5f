"""What the web server shows and changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from models.backends import Choice
from stream.config import StreamConfig
from stream.metrics import Metrics
from stream.state import StreamState


class Observed(Protocol):
    """A pipeline, as far as the web server knows it; the methods that change something raise `StreamError`."""

    metrics: Metrics

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """The state of every stream."""

    @property
    def choices(self) -> Mapping[str, Choice]:
        """How each network runs, and why not otherwise."""

    @property
    def failed(self) -> bool:
        """Whether a stage failed, so that nothing is processed any more."""

    def reports(self) -> list[dict[str, Any]]:
        """The figures of every stream."""

    def add_stream(self, stream: StreamConfig, /) -> None:
        """Watch one more stream."""

    def remove_stream(self, stream: str, timeout: float, /) -> None:
        """Watch a stream no longer."""

    def change_stream(self, stream: str, /, **options: object) -> None:
        """Give a stream other options; raises `ConfigError` where they are wrong."""

    def pause(self, stream: str, /) -> None:
        """Let no frame of a stream in."""

    def resume(self, stream: str, /) -> None:
        """Go on after `pause`."""
