"""Video as a medium: what PyAV can open, decoded straight to upright BGR pictures."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from stream.sources.reader import Picture, SourceError
from stream.types import Clock, Image
from stream.uri import redact, scheme

log = logging.getLogger(__name__)

OPEN_TIMEOUT = READ_TIMEOUT = 10.0
"""Seconds without an answer after which a network source is given up."""

_HIGHEST_FPS = 1000
"""Some containers put their time base where the rate belongs; nothing plays faster than this."""

_UNREADABLE_IN_A_ROW = 100
"""So many failed reads without a packet between them, and the rest of the medium counts as lost."""

_UNSPECIFIED = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED."""

_TEXT = frozenset({"ansi", "bintext", "idf", "xbin"})
"""Codecs by which FFmpeg takes any .txt for a film of a terminal."""

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


class VideoReader:
    """Pictures of the video stream in a file or behind a URI.

    A packet that cannot be decoded, and a picture that the decoder could not finish, is skipped and counted as
    "damaged"; smaller damage the decoder conceals by itself.

    Args:
        source: path or URI.
        threads: how many threads may decode.
        live: whether it is a feed, whose pictures are timed by their arrival.
        dropped: where skipped pictures are counted.

    Raises:
        SourceError: it cannot be opened, or there is no video in it.
    """

    def __init__(self, source: str, *, threads: int, live: bool, dropped: Counter[str]) -> None:
        self._name = redact(source)
        self._live = live
        self._dropped = dropped
        self._skipped = 0
        self._reformatter = VideoReformatter()
        self._container = self._open(source if live else f"file:{source}")
        self._video = self._best_stream()
        context = self._video.codec_context
        context.thread_count = threads
        context.thread_type = "AUTO" if threads > 1 else "NONE"
        rates = (self._video.average_rate, self._video.guessed_rate)
        self.fps = next((float(rate) for rate in rates if rate and 0 < rate <= _HIGHEST_FPS), 0.0)
        self.frames = self._video.frames
        self.clock: Clock = "arrival" if live else "file"

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order in which they are shown.

        Raises:
            SourceError: a live source fell silent, or the file cannot be read on.
        """
        decoded = 0
        for frame in self._frames():
            decoded += 1
            time_base = frame.time_base
            pts = None if frame.pts is None or not time_base else float(frame.pts * time_base)
            yield Picture(pts, self._picture(frame))
        if self._skipped > 1:
            log.warning("%s: %d damaged parts of it were skipped", self._name, self._skipped)
        if decoded + self._skipped < self.frames:
            log.warning("%s: ended after %d of %d pictures; it seems cut off", self._name, decoded, self.frames)

    def close(self) -> None:
        """Give decoder and file back."""
        self._container.close()

    def _open(self, source: str) -> InputContainer:
        options = {"rtsp_transport": "tcp"} if scheme(source) in ("rtsp", "rtsps") else {}
        try:
            return av.open(
                source, "r", options=options, metadata_errors="replace", timeout=(OPEN_TIMEOUT, READ_TIMEOUT)
            )
        except (FFmpegError, ValueError) as error:
            # not chained: FFmpeg's own text holds the whole URI, with its credentials
            raise SourceError(f"{self._name}: {_reason(error, self._live)}") from None

    def _best_stream(self) -> VideoStream:
        video = self._container.streams.best("video")
        if not isinstance(video, VideoStream) or video.disposition & Disposition.attached_pic:
            self._container.close()
            raise SourceError(f"{self._name}: there is no video in it, only sound or data")
        if getattr(video, "codec_context", None) is None:  # so it is for an unknown codec, though typed otherwise
            self._container.close()
            raise SourceError(f"{self._name}: its video is of a kind that cannot be decoded here")
        if video.codec_context.name in _TEXT:
            self._container.close()
            raise SourceError(f"{self._name}: is text, not a video")
        return video

    def _frames(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._video)
        unreadable = 0
        while unreadable < _UNREADABLE_IN_A_ROW:
            try:
                packet = next(packets, None)
            except InvalidDataError:
                unreadable += 1
                self._damaged("a part of the file")
                packets = self._container.demux(self._video)
                continue
            except (FFmpegError, OSError) as error:
                raise SourceError(f"{self._name}: broke off: {_reason(error, self._live)}") from None
            if packet is None:
                return
            unreadable = 0
            try:
                frames = packet.decode()
            except FFmpegError:
                self._damaged("a packet")
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._damaged("a picture")
                else:
                    yield frame

    def _damaged(self, what: str) -> None:
        self._dropped["damaged"] += 1
        self._skipped += 1
        level = logging.WARNING if self._skipped == 1 else logging.DEBUG  # the rest is summed up at the end
        log.log(level, "%s: %s is damaged and skipped", self._name, what)

    def _picture(self, frame: VideoFrame) -> Image:
        """`frame` as uint8 [H, W, 3] BGR in full range, upright, contiguous.

        Untagged video is taken for BT.709 from 720 lines upwards and for BT.601 below, as players do.
        """
        untagged = frame.colorspace == _UNSPECIFIED
        bgr = self._reformatter.reformat(
            frame,
            format="bgr24",
            src_colorspace=Colorspace.ITU709 if untagged and frame.height >= 720 else None,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        image: Image = np.ascontiguousarray(bgr.to_ndarray())
        turn = _TURNS.get(frame.rotation % 360)
        return image if turn is None else np.asarray(cv2.rotate(image, turn), np.uint8)


def _reason(error: Exception, live: bool) -> str:
    """Why FFmpeg failed, in words and without the URI that its own message repeats."""
    if isinstance(error, ExitError | TimeoutError):
        return f"no answer within {OPEN_TIMEOUT:g} seconds"
    if isinstance(error, InvalidDataError):
        return "sends nothing that can be read as video" if live else "not a video, or cut off before its index"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return "there is no such kind of address; give a file, a folder, testpattern://, rtsp:// or http(s)://"
    if getattr(error, "errno", None) == errno.EIO:
        return "the host is unknown, or the disk failed"
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()
