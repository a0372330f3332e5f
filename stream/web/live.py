"""The newest picture of every stream that somebody looks at, drawn and encoded only when it is asked for."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stream.sinks import Style, Trails, draw
from stream.types import Float, FrameResult, Image, StreamInfo

GAZE = 2.0
"""Seconds after a question for a stream's picture in which somebody counts as looking at it."""

QUALITY = 80
"""Of the JPEG pictures, 0..100."""

LEGIBLE = 768
"""Width from which on letters are large enough, pixels; in narrower pictures they are drawn larger."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One frame and what was found in it."""

    result: FrameResult
    image: Image
    trails: dict[int, Float]


@dataclass(slots=True, eq=False)
class _Watched:
    """A stream that somebody looks at."""

    until: float
    trails: Trails
    shot: Shot | None = None


class Live:
    """A sink that keeps the newest frame of the streams that somebody looks at, and does nothing for the others.

    `write` belongs to the thread that records; `look` and `picture` may be called from any.
    """

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self._encoded: dict[tuple[str, int], tuple[Shot, bytes]] = {}

    @property
    def needs_images(self) -> bool:
        """Whether somebody looks."""
        return bool(self._watched)

    def start(self, info: StreamInfo, /) -> None:
        """Nothing: a picture says its size itself."""

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        """Keep the frame where somebody looks at its stream."""
        watched = self._watched.get(result.stream)
        if watched is None or image is None:
            return
        if time.monotonic() > watched.until:
            self.finish(result.stream)
            return
        watched.shot = Shot(result, image.copy(), watched.trails.update(result))  # its owner may use the image again

    def finish(self, stream: str, /) -> None:
        """Forget a stream."""
        with self._lock:
            self._watched.pop(stream, None)
            self._encoded = {key: value for key, value in self._encoded.items() if key[0] != stream}

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._watched.clear()
            self._encoded.clear()

    def look(self, stream: str) -> Shot | None:
        """Look at a stream: its newest frame, None where none came since somebody looks at it."""
        now = time.monotonic()
        with self._lock:
            for other in [id_ for id_, watched in self._watched.items() if watched.until < now]:
                del self._watched[other]  # it may never write again
            watched = self._watched.setdefault(stream, _Watched(0.0, Trails()))
            watched.until = now + GAZE
            return watched.shot

    def picture(self, shot: Shot, width: int) -> bytes:
        """The frame with everybody drawn into it as JPEG, at most `width` pixels wide; made once for all viewers."""
        key = (shot.result.stream, width)
        with self._lock:
            cached = self._encoded.get(key)
        if cached is not None and cached[0] is shot:
            return cached[1]
        shown = min(width, shot.image.shape[1])
        style = Style(caption=False, size=max(1.0, LEGIBLE / shown))  # the page says the name beside it
        canvas: Image = draw(shot.image, shot.result, shot.trails, style)
        if canvas.shape[1] > width:
            height = max(1, round(canvas.shape[0] * width / canvas.shape[1]))
            canvas = np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        _, encoded = cv2.imencode(".jpg", canvas, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        picture = encoded.tobytes()
        with self._lock:
            if shot.result.stream in self._watched:
                self._encoded[key] = (shot, picture)
        return picture
