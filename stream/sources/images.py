"""Images as a medium: one, a folder of them, or what a glob matches, in their natural order."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from stream.sources.reader import Picture, SourceError
from stream.sources.timeline import DEFAULT_FPS
from stream.types import Clock, Image

log = logging.getLogger(__name__)

SUFFIXES = frozenset({".bmp", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def is_image(path: Path) -> bool:
    """Whether the name is that of an image; hidden files (`._1.jpg`, left by copies) are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def natural(path: Path) -> list[int | str]:
    """Sorts `2.jpg` before `10.jpg`."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]


def read_image(path: Path) -> Image | None:
    """The image at `path` as uint8 [H, W, 3] BGR, turned as its EXIF says; None where it cannot be read."""
    try:
        encoded = np.frombuffer(path.read_bytes(), np.uint8)
        image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # cv2 raises for an empty file and for one of absurd size
        return None
    return None if image is None else image.astype(np.uint8, copy=False)


class ImageReader:
    """Pictures from image files, `fps` of them per second (0: `DEFAULT_FPS`); a file that cannot be read is skipped."""

    clock: Clock = "file"
    finite = True

    def __init__(self, paths: Sequence[Path], fps: float, dropped: Counter[str]) -> None:
        if not paths:
            raise SourceError("there is no image")
        self._paths = sorted(paths, key=natural)
        self._dropped = dropped
        self.fps = fps or DEFAULT_FPS
        self.frames = len(paths)

    def pictures(self) -> Iterator[Picture]:
        """The readable images, in natural order; one that is not leaves a gap in the pts."""
        for index, path in enumerate(self._paths):
            image = read_image(path)
            if image is None:
                self._dropped["unreadable"] += 1
                log.warning("%s: not a readable image, skipped", path)
            else:
                yield Picture(index / self.fps, image)

    def close(self) -> None:
        """Nothing is held open between two images."""
