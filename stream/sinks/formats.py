"""The kinds of recordings by name, and the sinks that a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from stream.config import RecordConfig
from stream.sinks.coco import CocoWriter
from stream.sinks.folder import FolderSink, Format, OpenFile, SinkError
from stream.sinks.jsonl import JsonlWriter, ZstdJsonlWriter
from stream.sinks.mot import MotWriter, Persons
from stream.sinks.mp4 import Mp4Writer
from stream.sinks.rotation import Rotation
from stream.sinks.trails import Trails

_MB = 1_000_000


def _begin_mp4() -> OpenFile:
    return partial(Mp4Writer, trails=Trails())


def _begin_mot() -> OpenFile:
    persons = Persons()
    return lambda path, _: MotWriter(path, persons)


FORMATS: Mapping[str, Format] = {
    "jsonl": Format(".jsonl", lambda: lambda path, _: JsonlWriter(path)),
    "jsonl.zst": Format(".jsonl.zst", lambda: lambda path, _: ZstdJsonlWriter(path)),
    "mp4": Format(".mp4", _begin_mp4, pictures=True),
    "mot": Format(".txt", _begin_mot),
    "coco": Format(".json", lambda: lambda path, _: CocoWriter(path)),
}


def open_sinks(config: RecordConfig) -> list[FolderSink]:
    """A sink for each format of `config`; none where it names no folder.

    Raises:
        SinkError: the folder cannot be made or written to; better now than after the first frame.
    """
    if config.dir is None:
        return []
    folder = Path(config.dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot record to {folder}: {error.strerror}; choose another folder") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SinkError(f"cannot record to {folder}: there is no permission to write there; choose another folder")
    size = None if config.segment_mb is None else round(config.segment_mb * _MB)
    rotation = Rotation(config.segment_seconds, size, config.keep_segments)
    return [FolderSink(folder, FORMATS[name], rotation) for name in config.formats]
