"""peoplestream: people in many video streams, live.

`Pipeline` runs a configuration (`load_config`) in this process; `Subscriber` receives the results of another one.
Each is imported when it is first used, so that a subscriber needs none of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.config import Config, ConfigError, StreamConfig
    from stream.errors import StreamError
    from stream.pipeline import Pipeline
    from stream.settings import load_config
    from stream.types import Frame, FrameResult, Mask, People, StreamInfo
    from stream.wire import AsyncSubscriber, Subscriber

__all__ = [
    "AsyncSubscriber", "Config", "ConfigError", "Frame", "FrameResult", "Mask", "People", "Pipeline", "StreamConfig",
    "StreamError", "StreamInfo", "Subscriber", "load_config",
]  # fmt: skip

_HOMES = {
    "AsyncSubscriber": "stream.wire",
    "Config": "stream.config",
    "ConfigError": "stream.config",
    "Frame": "stream.types",
    "FrameResult": "stream.types",
    "Mask": "stream.types",
    "People": "stream.types",
    "Pipeline": "stream.pipeline",
    "StreamConfig": "stream.config",
    "StreamError": "stream.errors",
    "StreamInfo": "stream.types",
    "Subscriber": "stream.wire",
    "load_config": "stream.settings",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'stream' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
