"""A folder of recordings: one file for each stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stream.types import FrameResult, Image, StreamInfo


class SinkError(OSError):
    """A recording that cannot be made or continued; the sentence says which file and why."""


class Sink(Protocol):
    """Receives every result of every stream, in order, in one thread.

    Attributes:
        needs_images: whether `write` wants the frame itself as well.
        paths: the files it has made.
    """

    needs_images: bool
    paths: list[Path]

    def start(self, info: StreamInfo, /) -> None:
        """Learn what a stream is, before its first result and whenever that changes. Raises `SinkError`."""

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        """Take one result; `image` is its frame, uint8 [H, W, 3], BGR, not to be changed. Raises `SinkError`."""

    def close(self) -> None:
        """Finish everything. A second call does nothing. Raises `SinkError`."""


class Writer(Protocol):
    """One file of one stream; its methods raise OSError."""

    path: Path

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        """Append one result."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its names.
        open: makes a writer of the path of a new file and the stream it is for.
        pictures: whether it holds the frames, so that one file takes frames of one size.
    """

    suffix: str
    open: Callable[[Path, StreamInfo], Writer]
    pictures: bool = False


class FolderSink:
    """Writes `<stream id><suffix>` into a folder; a file that is there already is kept and the new one numbered.

    Args:
        directory: the folder, made with the first file.
        kind: what is written.
    """

    def __init__(self, directory: Path, kind: Format) -> None:
        self.needs_images = kind.pictures
        self.paths: list[Path] = []
        self._directory = directory
        self._format = kind
        self._infos: dict[str, StreamInfo] = {}
        self._writers: dict[str, Writer] = {}
        self._sizes: dict[str, tuple[int, int]] = {}

    def start(self, info: StreamInfo) -> None:
        """Remember what the stream is; its file is made with its first result."""
        self._infos[info.stream] = info

    def write(self, result: FrameResult, image: Image | None) -> None:
        """Append a result to the file of its stream; pictures of another size begin another file."""
        stream, size = result.stream, (result.width, result.height)
        if self._format.pictures and self._sizes.get(stream, size) != size:
            self._finish(self._writers.pop(stream))
        self._sizes[stream] = size
        writer = self._writers.get(stream) or self._open(stream)
        try:
            writer.write(result, image)
        except OSError as error:
            raise _sink_error(writer.path, error) from error

    def close(self) -> None:
        """Finish every file; the first that cannot be finished is reported when all are closed."""
        failures = []
        while self._writers:
            try:
                self._finish(self._writers.popitem()[1])
            except SinkError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _open(self, stream: str) -> Writer:
        path = self._directory / f"{stream}{self._format.suffix}"
        try:
            writer = self._format.open(path, self._infos[stream])
        except OSError as error:
            raise _sink_error(path, error) from error
        self._writers[stream] = writer
        self.paths.append(writer.path)
        return writer

    def _finish(self, writer: Writer) -> None:
        try:
            writer.close()
        except OSError as error:
            raise _sink_error(writer.path, error) from error


def _sink_error(path: Path, error: OSError) -> SinkError:
    return SinkError(f"cannot record to {path}: {error.strerror or error}")
