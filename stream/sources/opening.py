"""From the name of a source to the source itself."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from stream.config import IN_ONE_PROCESS, DecodeConfig, StreamConfig
from stream.sources import process
from stream.sources.feed import Feed
from stream.sources.images import ImageReader, is_image
from stream.sources.nvdec import Decoding, Hardware
from stream.sources.pattern import PatternReader
from stream.sources.process import ProcessReader
from stream.sources.reader import Reader, SourceError
from stream.sources.source import MediumSource, Source
from stream.sources.video import VideoOptions, VideoReader
from stream.uri import expand, is_glob, local_path, missing

log = logging.getLogger(__name__)


def open_source(
    config: StreamConfig,
    decode: DecodeConfig,
    on_trouble: Callable[[str | None], None] = lambda _: None,
    hardware: Hardware | None = None,
) -> Source:
    """Open what `config.source` names: a video file, an image, a folder or glob of images, a test pattern, a feed.

    A feed is connected to when it is iterated over, and again whenever it is lost.

    Args:
        config: of the stream.
        decode: how its video is decoded.
        on_trouble: told, in the iterating thread, why a feed is lost, and None when it is back.
        hardware: the GPU that decodes; None for the processor.

    Raises:
        SourceError: one sentence saying why it cannot be opened, or that not one picture in it can be decoded.
    """
    if hardware is not None and hardware.required and config.isolation == "process":
        raise SourceError(f"{config.id}: {IN_ONE_PROCESS}", "address")
    decoding = Decoding(config, hardware)
    if config.is_live:
        open_feed = partial(_open_video, config.source, config, decode, decoding)
        return Feed(config, open_feed, on_trouble, decoding=decoding)
    return MediumSource(config, partial(_open_medium, config, decode, decoding), decoding)


def _open_medium(config: StreamConfig, decode: DecodeConfig, decoding: Decoding, dropped: Counter[str]) -> Reader:
    path = local_path(config.source)
    if path is None:
        return PatternReader(config.source, dropped)
    images = _images(path)
    if images is not None:
        return ImageReader(images, config.fps, dropped)
    _check_file(Path(path))
    return _open_video(path, config, decode, decoding, dropped, threading.Event())


def _open_video(
    source: str,
    config: StreamConfig,
    decode: DecodeConfig,
    decoding: Decoding,
    dropped: Counter[str],
    stopped: threading.Event,
) -> Reader:
    """A reader in this thread, or in a process of its own."""
    options = VideoOptions(
        threads=decode.threads,
        max_height=config.max_height,
        live=config.is_live,
        transport=config.transport,
        open_timeout=config.open_timeout,
        read_timeout=config.read_timeout,
    )
    if decoding.in_thread or config.isolation == "thread" or (config.isolation == "auto" and not config.is_live):
        return VideoReader(source, options, dropped, decoding)
    if not process.supported:
        log.warning("%s: decoded in a thread; a process of its own needs Linux", config.id)
        return VideoReader(source, options, dropped, decoding)
    decoding.begin()  # takes no session: says why it is decoded there and not on a GPU
    return ProcessReader(config.id, source, options, decode.memory_mb, dropped, stopped)


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
