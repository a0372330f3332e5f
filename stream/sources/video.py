"""Video as a medium: what PyAV can open, decoded to upright pictures, BGR or on a GPU."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from stream.sources.faults import classify
from stream.sources.nvdec import Decoding, Session, may_be_of_gpu
from stream.sources.reader import Picture, SourceError
from stream.sources.timeline import CaptureClock
from stream.sources.transport import Address, Transport, address
from stream.types import AnyImage, Clock, Image
from stream.uri import redact

log = logging.getLogger(__name__)

_HIGHEST_FPS = 1000
"""Some containers put their time base where the rate belongs; nothing plays faster than this."""

_UNREADABLE_IN_A_ROW = 100
"""So many failed reads without a packet between them, and the rest of the medium counts as lost."""

_LONGEST_SLEEP, _LONGEST_LAG = 1.0, 30.0
"""Seconds by which a picture of a paced feed may come too early or too late; beyond, its pts have jumped."""

_UNSPECIFIED = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED."""

_TEXT = frozenset({"ansi", "bintext", "idf", "xbin"})
"""Codecs by which FFmpeg takes any .txt for a film of a terminal."""

_TURNS = {90: 1, 180: 2, 270: 3}
"""Degrees to the left -> quarter turns."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How a video is read.

    Attributes:
        threads: how many threads may decode.
        max_height: taller pictures are scaled down to this height, pixels; 0: never.
        live: whether it is a feed, whose pictures are timed by their arrival.
        transport: "auto", "tcp" or "udp", for RTSP.
        open_timeout: seconds that opening a feed may take, and then its first picture; read_timeout: seconds that it
            may send no picture after that.
    """

    threads: int = 1
    max_height: int = 0
    live: bool = False
    transport: Transport = "auto"
    open_timeout: float = 10.0
    read_timeout: float = 5.0


class VideoReader:
    """Pictures of the video stream in a file or behind a URI.

    A packet that cannot be decoded, and a picture that the decoder could not finish, is skipped and counted as
    "damaged"; smaller damage the decoder conceals by itself.

    Args:
        source: path or URI.
        options: how it is read.
        dropped: where skipped pictures are counted.
        decoding: says whether it is to be decoded on a GPU, and is told where that does not work; without, it is not.

    Raises:
        SourceError: it cannot be opened, or there is no video in it.
    """

    def __init__(
        self, source: str, options: VideoOptions, dropped: Counter[str], decoding: Decoding | None = None
    ) -> None:
        self._source = source
        self._name = redact(source)
        self._options = options
        self._dropped = dropped
        self._skipped = 0
        self._reformatter = VideoReformatter()
        self._first: float | None = None
        self._wall = time.time() - time.monotonic()  # once, so that a step of the wall clock moves no picture
        where = address(source, options.transport) if options.live else Address(f"file:{source}")
        self._session = Session() if decoding is None else decoding.begin()
        try:
            self._container = self._open(where)
            self._video = self._best_stream()
        except BaseException:
            self._session.close()
            raise
        context = self._video.codec_context
        if self._session.accelerator is not None and not context.is_hwaccel:
            self._session.refuse("codec", f"it does not decode {context.name}")
        threads = 1 if self._session.accelerator is not None else options.threads
        context.thread_count = threads
        context.thread_type = "AUTO" if threads > 1 else "NONE"
        rates = (self._video.average_rate, self._video.guessed_rate)
        self.fps = next((float(rate) for rate in rates if rate and 0 < rate <= _HIGHEST_FPS), 0.0)
        self.frames = self._video.frames
        self.clock: Clock = "arrival" if options.live else "file"
        stated_length = (self._container.duration or 0) > 0
        self.finite = not options.live or (stated_length and where.is_web)
        self._paced = options.live and (self.finite or self._container.format.name == "hls")

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order in which they are shown.

        What a web server hands out faster than it plays, a file or the pieces of an HLS feed, comes as it plays.

        Raises:
            SourceError: a live source fell silent, or the file cannot be read on.
        """
        decoded = 0
        for frame in self._frames():
            decoded += 1
            time_base = frame.time_base
            pts = None if frame.pts is None or not time_base else float(frame.pts * time_base)
            yield Picture(pts, self._picture(frame), self._captured(pts) if self._options.live else None)
        if self._skipped > 1:
            log.warning("%s: %d damaged parts of it were skipped", self._name, self._skipped)
        if decoded + self._skipped < self.frames:
            log.warning("%s: ended after %d of %d pictures; it seems cut off", self._name, decoded, self.frames)

    def close(self) -> None:
        """Give decoder and file back."""
        self._container.close()
        self._session.close()

    def _open(self, where: Address) -> InputContainer:
        limits = self._options
        began = time.monotonic()
        try:
            if self._session.accelerator is not None:
                try:
                    return self._open_with(where, self._session.accelerator)
                except (FFmpegError, OSError) as error:
                    if not may_be_of_gpu(error):
                        raise
                    self._session.refuse("open", f"it cannot be opened there ({type(error).__name__})")
            return self._open_with(where, None)
        except (FFmpegError, OSError, ValueError) as error:
            if isinstance(error, InvalidDataError) and time.monotonic() - began >= limits.open_timeout:
                error = TimeoutError()  # so it ends where an RTSP server keeps silent
            # not chained: FFmpeg's own text holds the whole URI, with its credentials
            raise self._failure(error, "", limits.open_timeout) from None

    def _open_with(self, where: Address, accelerator: HWAccel | None) -> InputContainer:
        return av.open(
            where.url,
            "r",
            format=where.format,
            options=where.options,
            metadata_errors="replace",
            timeout=(self._options.open_timeout, self._options.read_timeout),
            hwaccel=accelerator,
        )

    def _failure(self, error: Exception, what: str, timeout: float) -> SourceError:
        fault, reason = classify(error, self._source, live=self._options.live, timeout=timeout)
        return SourceError(f"{self._name}: {what}{reason}", fault)

    def _best_stream(self) -> VideoStream:
        video = self._container.streams.best("video")
        if not isinstance(video, VideoStream) or video.disposition & Disposition.attached_pic:
            self._container.close()
            raise SourceError(f"{self._name}: there is no video in it, only sound or data", "codec")
        if getattr(video, "codec_context", None) is None:  # so it is for an unknown codec, though typed otherwise
            self._container.close()
            raise SourceError(f"{self._name}: its video is of a kind that cannot be decoded here", "codec")
        if video.codec_context.name in _TEXT:
            self._container.close()
            raise SourceError(f"{self._name}: is text, not a video")
        return video

    def _frames(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._video)
        unreadable = 0
        newest, patience = time.monotonic(), self._options.open_timeout  # the first waits for a key frame
        while unreadable < _UNREADABLE_IN_A_ROW:
            try:
                packet = next(packets, None)
            except InvalidDataError:
                unreadable += 1
                self._damaged("a part of it")
                packets = self._container.demux(self._video)
                continue
            except (FFmpegError, OSError) as error:
                raise self._failure(error, "broke off: ", self._options.read_timeout) from None
            if packet is None:
                return
            unreadable = 0
            for frame in self._decoded(packet):
                yield frame
                newest, patience = time.monotonic(), self._options.read_timeout  # without what the taker needed
            if self._options.live and time.monotonic() - newest > patience:
                raise SourceError(f"{self._name}: sends data, but no picture for {patience:g} seconds", "corrupt")

    def _decoded(self, packet: Packet[VideoStream]) -> Iterator[VideoFrame]:
        """The sound pictures of a packet."""
        try:
            frames = packet.decode()
        except FFmpegError:
            self._damaged("a packet")
            return
        for frame in frames:
            if frame.is_corrupt:
                self._damaged("a picture")
            else:
                yield frame

    def _captured(self, pts: float | None) -> float:
        """When a feed's picture was captured, seconds since 1970; where it comes too early, it is waited for."""
        if self._first is None:
            realtime = self._container.start_time_realtime
            arrived = self._wall + time.monotonic()
            self._first = arrived - (pts or 0.0)
            self._capture = CaptureClock(realtime / 1e6 if realtime else None, pts, arrived)
            self.clock = self._capture.clock
        if self._paced and pts is not None:
            ahead = self._first + pts - (self._wall + time.monotonic())
            if -_LONGEST_LAG < ahead < _LONGEST_SLEEP:
                time.sleep(max(ahead, 0.0))
            else:  # the pts have jumped
                self._first -= ahead
        return self._capture.captured(pts, self._wall + time.monotonic())

    def _damaged(self, what: str) -> None:
        self._dropped["damaged"] += 1
        self._skipped += 1
        level = logging.WARNING if self._skipped == 1 else logging.DEBUG  # the rest is summed up at the end
        log.log(level, "%s: %s is damaged and skipped", self._name, what)

    def _picture(self, frame: VideoFrame) -> AnyImage:
        """`frame`, upright: on the GPU where it was decoded there, else as an array."""
        on_device = self._session.image(frame)
        return self._bgr(frame) if on_device is None else on_device

    def _bgr(self, frame: VideoFrame) -> Image:
        """`frame` as uint8 [H, W, 3] BGR in full range, upright, contiguous; one on a GPU is fetched from there.

        Untagged video is taken for BT.709 from 720 lines upwards and for BT.601 below, as players do.
        """
        untagged = frame.colorspace == _UNSPECIFIED
        turn = _TURNS.get(frame.rotation % 360, 0)
        upright = frame.height if turn in (0, 2) else frame.width
        scale = min(1.0, self._options.max_height / upright) if self._options.max_height else 1.0
        bgr = self._reformatter.reformat(
            frame,
            width=max(1, round(frame.width * scale)),
            height=max(1, round(frame.height * scale)),
            format="bgr24",
            src_colorspace=Colorspace.ITU709 if untagged and frame.height >= 720 else None,
            dst_color_range=ColorRange.JPEG,
            threads=1,
        )
        image: Image = np.ascontiguousarray(bgr.to_ndarray())
        return image if turn == 0 else np.ascontiguousarray(np.rot90(image, turn))
