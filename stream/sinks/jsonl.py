"""Results as JSON lines, one for each frame, plain or compressed."""

from __future__ import annotations

from pathlib import Path

import zstandard

from stream.sinks.files import RecordFile
from stream.types import FrameResult, Image
from stream.wire import to_json

_LAST_BLOCK = b"\x01\x00\x00"
"""Ends a Zstandard frame without a checksum: an empty raw block, marked as the last (RFC 8878, 3.1.1.2)."""


class JsonlWriter:
    """Writes `stream.wire.to_json` of every result; a line is in the file when `write` returns."""

    def __init__(self, path: Path) -> None:
        self.file = RecordFile(path)

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the line of one frame."""
        self.file.write(_line(result))

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class ZstdJsonlWriter:
    """Writes the same lines compressed (Zstandard, RFC 8878); the file can be decompressed whole after every line.

    Each line is flushed as a block of its own, which still refers to the lines before it, and the end of the frame
    behind it is overwritten by the next block.
    """

    def __init__(self, path: Path) -> None:
        self.file = RecordFile(path, closing=_LAST_BLOCK, suffix=".jsonl.zst")
        self._compressor = zstandard.ZstdCompressor(write_content_size=False, write_checksum=False)
        self._frame = self._compressor.compressobj()
        self._before = b""

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the line of one frame."""
        block = self._frame.compress(_line(result)) + self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        try:
            self.file.write(self._before + block)
        except OSError:  # the next block must not refer to this one: end the frame and begin another
            self._frame = self._compressor.compressobj()
            self._before = _LAST_BLOCK if self.file.size else b""
            raise
        self._before = b""

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _line(result: FrameResult) -> bytes:
    return to_json(result).encode() + b"\n"
