"""Video with the results drawn in, readable up to its last half second whatever ends the recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from stream.sinks.files import RecordFile
from stream.sinks.overlay import Style, draw
from stream.sinks.rate import Rate
from stream.sinks.trails import Trails
from stream.types import FrameResult, Image, StreamInfo

_TICK = Fraction(1, 90_000)
"""Unit of the video's time line, seconds."""

_LONGEST_GAP = 60.0
"""Seconds between two frames; beyond it the source has changed its time line."""

_FRAGMENT = 0.5
"""Seconds of video in one fragment of the file: what a killed process loses at most."""

_FRAGMENT_BYTES = 1 << 21
"""A fragment up to this size reaches the file in one piece or not at all."""

_KEYFRAMES = 2.0
"""Seconds between key frames, where a player can start."""

_DEFAULT_FPS = 25.0
_HIGHEST_FPS = 240.0
"""Beyond it a container's claim is the unit of its clock rather than a frame rate."""


class Mp4Writer:
    """Draws each result into its frame and encodes it: H.264 in a fragmented MP4, with the time steps of the source.

    Args:
        path: the file to make.
        info: the stream; all frames must have its first frame's size.
        trails: where people came from; those of the file before, where this file goes on.
        style: how results are drawn.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, path: Path, info: StreamInfo, trails: Trails | None = None, style: Style | None = None) -> None:
        self._style = style or Style()
        self._trails = trails or Trails()
        self._rate = Rate()
        self._fps = min(info.fps or _DEFAULT_FPS, _HIGHEST_FPS)
        self._timeline = _Timeline(1 / self._fps)
        self.file = RecordFile(path)
        self._container = av.open(
            self.file,
            "w",
            format="mp4",
            buffer_size=_FRAGMENT_BYTES,
            options={"movflags": "empty_moov+default_base_moof", "frag_duration": str(round(_FRAGMENT * 1e6))},
        )
        self._stream: av.VideoStream | None = None

    def write(self, result: FrameResult, image: Image | None) -> None:
        """Draw and encode one frame.

        Raises:
            OSError: the file cannot grow, or the encoder refuses the frame.
        """
        if image is None:
            raise OSError("a video needs the image of every frame")
        drawn = _even(draw(image, result, self._trails.update(result), self._style, self._rate.update(result)))
        stream = self._stream = self._stream or self._open_stream(drawn)
        planes = np.asarray(cv2.cvtColor(drawn, cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = self._timeline.tick(result), _TICK
        with _os_errors():
            self._container.mux(stream.encode(frame))

    def close(self) -> None:
        """Finish the file.

        Raises:
            OSError: its last half second does not fit.
        """
        with self.file, _os_errors():
            try:
                if self._stream is not None:
                    self._container.mux(self._stream.encode(None))
            finally:
                self._container.close()

    def _open_stream(self, image: Image) -> av.VideoStream:
        stream = self._container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
        context = stream.codec_context
        context.height, context.width = image.shape[:2]
        context.pix_fmt = "yuv420p"
        context.colorspace, context.color_range = Colorspace.ITU601, ColorRange.MPEG  # what cvtColor makes
        context.time_base = _TICK
        context.gop_size = max(1, round(_KEYFRAMES * self._fps))
        context.thread_count = 1
        context.options = {"preset": "superfast", "tune": "zerolatency", "crf": "23"}  # no frame waits in the encoder
        return stream


@contextmanager
def _os_errors() -> Iterator[None]:
    """What FFmpeg refuses is an OSError, as what the file system refuses is already."""
    try:
        yield
    except av.FFmpegError as error:
        raise OSError(f"the video cannot be encoded: {error.strerror}") from error


class _Timeline:
    """Time stamps for an encoder, which wants them to rise, from those of a source, which may begin again.

    Args:
        step: seconds from a frame to the next where the source does not say.
    """

    def __init__(self, step: float) -> None:
        self._step = max(1, round(step / _TICK))
        self._epoch = -1  # none yet
        self._last = -self._step
        self._shift = 0  # from the source's ticks to ours

    def tick(self, result: FrameResult) -> int:
        """Where a frame stands, in ticks from the first; a step behind the last one where the source began again."""
        there = round(result.pts / _TICK)
        if result.epoch != self._epoch or not 0 < there + self._shift - self._last < _LONGEST_GAP / _TICK:
            self._shift, self._epoch = self._last + self._step - there, result.epoch
        self._last = there + self._shift
        return self._last


def _even(image: Image) -> Image:
    """The image with its last row and column doubled where their number is odd: colour has half of the resolution."""
    height, width = image.shape[:2]
    if height % 2 == width % 2 == 0:
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
