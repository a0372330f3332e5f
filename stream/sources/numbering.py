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
        self._cap = RateCap(config.fps)
        self._seq = 0

    def begin(self, reader: Reader, first: Picture, epoch: int) -> None:
        """Describe a connection by its reader and its first picture."""
        cap = self._config.fps
        height, width = first.image.shape[:2]
        capped = bool(cap) and cap < reader.fps
        frames = math.ceil(reader.frames * cap / reader.fps) if capped else reader.frames
        self.info = replace(
            self.info,
            epoch=epoch,
            width=width,
            height=height,
            fps=cap if capped else reader.fps,
            frames=0 if self._config.loop else frames,
        )

    def admits(self, elapsed: float) -> bool:
        """Whether the picture `elapsed` seconds after the first is within the rate; counted where it is not."""
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
