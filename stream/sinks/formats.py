"""The kinds of recordings by name, and the sinks that a configuration asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from stream.config import RecordConfig
from stream.sinks.coco import CocoWriter
from stream.sinks.folder import FolderSink, Format
from stream.sinks.jsonl import JsonlWriter
from stream.sinks.mot import MotWriter
from stream.sinks.mp4 import Mp4Writer

FORMATS: Mapping[str, Format] = {
    "jsonl": Format(".jsonl", lambda path, _: JsonlWriter(path)),
    "mp4": Format(".mp4", Mp4Writer, pictures=True),
    "mot": Format(".txt", lambda path, _: MotWriter(path)),
    "coco": Format(".json", lambda path, _: CocoWriter(path)),
}


def open_sinks(config: RecordConfig) -> list[FolderSink]:
    """A sink for each format of `config`; none where it names no folder."""
    if config.dir is None:
        return []
    return [FolderSink(Path(config.dir), FORMATS[name]) for name in config.formats]
