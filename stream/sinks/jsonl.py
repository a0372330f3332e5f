"""Results as JSON lines, one for each frame."""

from __future__ import annotations

from pathlib import Path

from stream.sinks.files import RecordFile
from stream.types import FrameResult, Image
from stream.wire import to_json


class JsonlWriter:
    """Writes `stream.wire.to_json` of every result; a line is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self._file = RecordFile(path)
        self.path = self._file.path

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the line of one frame."""
        self._file.write(to_json(result).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
