"""From the name of a source to the source itself."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

from stream.config import DecodeConfig, StreamConfig
from stream.sources.images import ImageReader, is_image
from stream.sources.pattern import PatternReader
from stream.sources.reader import Reader, SourceError
from stream.sources.source import Source
from stream.sources.video import VideoReader
from stream.uri import expand, is_glob, local_path, missing, scheme


def open_source(config: StreamConfig, decode: DecodeConfig) -> Source:
    """Open what `config.source` names: a video file, an image, a folder or glob of images, a test pattern, a feed.

    Raises:
        SourceError: one sentence saying why it cannot be opened, or that not one picture in it can be decoded.
    """
    return Source(config, partial(_open_reader, config, decode))


def _open_reader(config: StreamConfig, decode: DecodeConfig, dropped: Counter[str]) -> Reader:
    if scheme(config.source) == "testpattern":
        return PatternReader(config.source, dropped)
    path = local_path(config.source)
    if path is None:
        return VideoReader(config.source, threads=decode.threads, live=True, dropped=dropped)
    images = _images(path)
    if images is not None:
        return ImageReader(images, config.fps, dropped)
    _check_file(Path(path))
    return VideoReader(path, threads=decode.threads, live=False, dropped=dropped)


def _images(path: str) -> list[Path] | None:
    """The images that a folder, a glob or the name of one image stands for; None where it is something else."""
    absent = missing(path)
    if absent:
        raise SourceError(absent)
    if is_glob(path):
        images = [match for match in expand(path) if is_image(match)]
    elif Path(path).is_dir():
        images = [entry for entry in _entries(Path(path)) if is_image(entry)]
    else:
        return [Path(path)] if is_image(Path(path)) else None
    if not images:
        raise SourceError(f"{path}: there is no image in it (.jpg, .png, .webp, .tif ...)")
    return images


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except PermissionError:
        raise SourceError(f"{folder}: there is no permission to read it") from None


def _check_file(path: Path) -> None:
    """Say what is wrong with a file before FFmpeg puts it in its own words."""
    if not path.is_file():
        raise SourceError(f"{path}: is neither a file nor a folder")
    if path.stat().st_size == 0:
        raise SourceError(f"{path}: the file is empty")
    try:
        path.open("rb").close()
    except PermissionError:
        raise SourceError(f"{path}: there is no permission to read it") from None
