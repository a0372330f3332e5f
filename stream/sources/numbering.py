"""From pictures to frames: numbered without a gap, thinned to a rate, described to whoever asks."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import replace

from stream.config import StreamConfig
from stream.sources.reader import Picture, Reader
from stream.sources.timeline import RateCap
from stream.types import Clock, Frame, StreamInfo
from stream.uri import redact

log = logging.getLogger(__name__)


class Numbering:
    """The frames of one stream over all its connections; used by one thread.

    Attributes:
        info: what the stream is; sizes and rate are 0 until there has been a picture.
        dropped: how many pictures did not become frames, by reason.
    """

    def __init__(self, config: StreamConfig) -> None:
        self.dropped: Counter[str] = Counter()
        self.info = StreamInfo(config.id, epoch=0, source=redact(config.source), width=0, height=0, fps=0.0)
        self._config = config
        self._fps = config.fps
        self._cap = RateCap(config.fps)
        self._medium = (0.0, 0)  # frames per second and frames of the reader
        self._seq = 0

    def begin(self, reader: Reader, first: Picture, epoch: int) -> None:
        """Describe a connection by its reader and its first picture."""
        height, width = first.image.shape[:2]
        self._medium = (reader.fps, reader.frames)
        self.info = self._paced(replace(self.info, epoch=epoch, width=width, height=height))

    def cap(self, fps: float) -> None:
        """Let at most `fps` frames per second through, 0: all, from the next picture on. From any thread."""
        self._fps = fps

    def _paced(self, info: StreamInfo) -> StreamInfo:
        """`info` with the rate and the number of frames that the cap leaves."""
        fps, frames = self._medium
        if 0 < self._cap.fps < fps:
            fps, frames = self._cap.fps, math.ceil(frames * self._cap.fps / fps)
        return replace(info, fps=fps, frames=0 if self._config.loop else frames)

    def admits(self, elapsed: float) -> bool:
        """Whether the picture `elapsed` seconds after the first is within the rate; counted where it is not."""
        if self._fps != self._cap.fps:
            self._cap = RateCap(self._fps)
            self.info = self._paced(self.info)
        if self._cap.admits(elapsed):
            return True
        self.dropped["fps"] += 1
        return False

    def frame(self, picture: Picture, pts: float, captured_at: float, clock: Clock) -> Frame:
        """The next frame."""
        height, width = picture.image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            log.info("%s: the pictures are now %d x %d", self._config.id, width, height)
            self.info = replace(self.info, width=width, height=height)
        seq, self._seq = self._seq, self._seq + 1
        return Frame(self._config.id, self.info.epoch, seq, pts, captured_at, clock, picture.image)
