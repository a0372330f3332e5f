"""A folder of recordings: one file for each stream, or one after the other."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias

from stream.sinks.files import RecordFile
from stream.sinks.rotation import Rotation
from stream.types import FrameResult, Image, StreamInfo

log = logging.getLogger(__name__)


class SinkError(OSError):
    """A recording that cannot be made or continued; the sentence says which file and why."""


class Sink(Protocol):
    """Receives every result of every stream, in order, in one thread.

    Attributes:
        needs_images: whether `write` wants the frame itself as well; asked before every call.
        paths: the files it has made and not deleted.
    """

    paths: list[Path]

    @property
    def needs_images(self) -> bool: ...

    def start(self, info: StreamInfo, /) -> None:
        """Learn what a stream is, before its first result and whenever that changes. Raises `SinkError`."""

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        """Take one result; `image` is its frame, uint8 [H, W, 3], BGR, not to be changed. Raises `SinkError`."""

    def finish(self, stream: str, /) -> None:
        """Finish what belongs to a stream and forget it; it was removed. Raises `SinkError`."""

    def close(self) -> None:
        """Finish everything. A second call does nothing. Raises `SinkError`."""


class Writer(Protocol):
    """One file of one stream; its methods raise OSError."""

    file: RecordFile

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        """Append one result."""

    def close(self) -> None:
        """Finish the file."""


OpenFile: TypeAlias = Callable[[Path, StreamInfo], Writer]
"""Makes a writer of the path of a new file and the stream it is for."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: of its names.
        begin: called once for each stream, for what opens its files one after the other; what they share lives there.
        pictures: whether it holds the frames, so that one file takes frames of one size.
    """

    suffix: str
    begin: Callable[[], OpenFile]
    pictures: bool = False


@dataclass(slots=True)
class _Recorded:
    """One stream: what opens its files, the file being written with its first time and size, and those before it."""

    info: StreamInfo
    open: OpenFile
    writer: Writer | None = None
    since: float = 0.0
    frame_size: tuple[int, int] = (0, 0)
    finished: deque[Path] = field(default_factory=deque)


class FolderSink:
    """Writes `<stream id><suffix>` into a folder; a file that is there already is kept and the new one numbered.

    Where `rotation` cuts recordings, `<stream id>-<time of the first frame, UTC><suffix>`, such as
    `lobby-20260131T235959.125Z.mp4`: the names of a stream sort by time.

    Args:
        directory: the folder, made with the first file.
        kind: what is written.
        rotation: when another file begins, and how many are kept.
    """

    def __init__(self, directory: Path, kind: Format, rotation: Rotation | None = None) -> None:
        self.needs_images = kind.pictures
        self.paths: list[Path] = []
        self._directory = directory
        self._format = kind
        self._rotation = rotation or Rotation()
        self._streams: dict[str, _Recorded] = {}

    def start(self, info: StreamInfo) -> None:
        """Remember what the stream is; its file is made with its first result."""
        recorded = self._streams.get(info.stream)
        if recorded is None:
            self._streams[info.stream] = _Recorded(info, self._format.begin())
        else:
            recorded.info = info

    def write(self, result: FrameResult, image: Image | None) -> None:
        """Append a result to the file of its stream; pictures of another size begin another file."""
        recorded = self._streams[result.stream]
        if recorded.writer is not None and self._is_over(recorded, recorded.writer.file.size, result):
            self._close(recorded)
        writer = recorded.writer or self._open(recorded, result)
        try:
            writer.write(result, image)
        except OSError as error:
            raise _sink_error(writer.file.path, error) from error

    def finish(self, stream: str) -> None:
        """Finish the file of a stream and forget the stream."""
        recorded = self._streams.pop(stream, None)
        if recorded is not None:
            self._close(recorded)

    def close(self) -> None:
        """Finish every file; the first that cannot be finished is reported when all are closed."""
        failures = []
        for recorded in self._streams.values():
            try:
                self._close(recorded)
            except SinkError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _is_over(self, recorded: _Recorded, size: int, result: FrameResult) -> bool:
        reshaped = self._format.pictures and recorded.frame_size != (result.width, result.height)
        return reshaped or self._rotation.is_over(result.captured_at - recorded.since, size)

    def _open(self, recorded: _Recorded, result: FrameResult) -> Writer:
        name = self._rotation.name(result.stream, result.captured_at)
        path = self._directory / f"{name}{self._format.suffix}"
        try:
            writer = recorded.open(path, recorded.info)
        except OSError as error:
            raise _sink_error(path, error) from error
        recorded.writer, recorded.since = writer, result.captured_at
        recorded.frame_size = (result.width, result.height)
        self.paths.append(writer.file.path)
        while self._rotation.keep is not None and len(recorded.finished) >= self._rotation.keep:
            self._delete(recorded.finished.popleft())
        return writer

    def _close(self, recorded: _Recorded) -> None:
        writer, recorded.writer = recorded.writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError as error:
            raise _sink_error(writer.file.path, error) from error
        recorded.finished.append(writer.file.path)

    def _delete(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("cannot delete the old recording %s: %s", path, error.strerror)
        else:
            self.paths.remove(path)


def _sink_error(path: Path, error: OSError) -> SinkError:
    return SinkError(f"cannot record to {path}: {error.strerror or error}")
