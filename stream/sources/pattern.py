"""A test pattern as a medium: figures that walk, the same in every run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from stream.sources.reader import Picture, SourceError
from stream.types import Clock, Image

_URI = re.compile(r"testpattern://(\d+)x(\d+)@(\d+(?:\.\d+)?)(?:\?frames=(\d+))?", re.IGNORECASE)
_WORD = re.compile(r"testpattern://[^?]*\?(?!frames=)([^=]+)=.*", re.IGNORECASE)
_SMALLEST, _LARGEST = 16, 8192

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Walker:
    """A figure: height as a fraction of the picture's, lanes per second and start as fractions of its width."""

    height: float
    speed: float
    start: float
    shirt: Colour
    trousers: Colour


WALKERS = (
    Walker(0.45, 0.06, 0.15, (60, 160, 70), (90, 60, 50)),
    Walker(0.60, -0.08, 0.80, (170, 90, 40), (60, 60, 70)),
    Walker(0.75, 0.11, 0.35, (50, 60, 190), (110, 80, 40)),
)
"""From back to front."""

_SKIN: Colour = (140, 170, 220)
_HAIR: Colour = (40, 50, 60)
_SHOES: Colour = (40, 40, 40)


class PatternReader:
    """Pictures of `testpattern://WIDTHxHEIGHT@FPS?frames=N`; without `frames` there is no end to them."""

    clock: Clock = "file"
    finite = True

    def __init__(self, uri: str, dropped: Counter[str]) -> None:  # noqa: ARG002 - a reader's signature; it drops nothing
        match = _URI.fullmatch(uri)
        if unknown := _WORD.fullmatch(uri):
            raise SourceError(
                f"{uri}: {unknown[1]} is unknown; there is frames, as in testpattern://640x480@25?frames=100"
            )
        if not match:
            raise SourceError(f"{uri}: must look like testpattern://640x480@25 or testpattern://640x480@25?frames=100")
        self._width, self._height, self.fps = int(match[1]), int(match[2]), float(match[3])
        self.frames = int(match[4] or 0)
        if not all(_SMALLEST <= side <= _LARGEST for side in (self._width, self._height)) or not self.fps:
            raise SourceError(f"{uri}: sides must be {_SMALLEST} to {_LARGEST} pixels, and the rate above zero")
        if match[4] and not self.frames:
            raise SourceError(f"{uri}: frames must be at least 1")
        self._backdrop = _backdrop(self._height, self._width)

    def pictures(self) -> Iterator[Picture]:
        """One picture per 1/fps seconds of the pattern's own time."""
        index = 0
        while not self.frames or index < self.frames:
            seconds = index / self.fps
            image = self._backdrop.copy()
            for walker in WALKERS:
                _draw(image, walker, seconds)
            yield Picture(seconds, image)
            index += 1

    def close(self) -> None:
        """Nothing is held open."""


def _backdrop(height: int, width: int) -> Image:
    """Wall and floor, uint8 [height, width, 3], slightly graded so that it is not one flat colour."""
    shade = np.linspace(215, 150, height, dtype=np.uint8)
    shade[height * 2 // 3 :] -= 50
    return np.repeat(np.repeat(shade[:, None, None], width, axis=1), 3, axis=2)


def _draw(image: Image, walker: Walker, seconds: float) -> None:
    """Draw `walker` where it is after `seconds`; it comes in on the other side when it has left the picture."""
    height, width = image.shape[:2]
    size = walker.height * height
    x = ((walker.start + walker.speed * seconds) % 1.0) * (width + size) - size / 2
    ground = height * (0.72 + 0.3 * (walker.height - 0.3))
    swing = math.sin(2 * math.pi * 0.9 * seconds + 6 * walker.start)

    def at(dx: float, up: float) -> tuple[int, int]:
        return round(x + dx * size), round(ground - up * size)

    def limb(colour: Colour, thickness: float, *joints: tuple[int, int]) -> None:
        line = np.array(joints, np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [line], False, colour, max(1, round(thickness * size)), cv2.LINE_AA)

    for side in (-1, 1):
        stride = side * swing
        limb(walker.trousers, 0.075, at(0, 0.48), at(0.06 * stride, 0.26), at(0.13 * stride, 0.03))
        limb(_SHOES, 0.05, at(0.13 * stride, 0.01), at(0.13 * stride + math.copysign(0.05, walker.speed), 0.01))
    limb(walker.shirt, 0.055, at(0, 0.78), at(-0.10 * swing, 0.62), at(-0.13 * swing, 0.47))
    limb(walker.shirt, 0.17, at(0, 0.74), at(0, 0.52))
    limb(walker.shirt, 0.055, at(0, 0.78), at(0.10 * swing, 0.62), at(0.13 * swing, 0.47))
    for side in (-1, 1):
        cv2.circle(image, at(side * 0.14 * swing, 0.45), max(1, round(0.028 * size)), _SKIN, -1, cv2.LINE_AA)
    limb(_SKIN, 0.06, at(0, 0.86), at(0, 0.82))
    head, hair = (round(0.055 * size), round(0.07 * size)), (round(0.06 * size), round(0.06 * size))
    cv2.ellipse(image, at(0, 0.92), head, 0, 0, 360, _SKIN, -1, cv2.LINE_AA)
    cv2.ellipse(image, at(0, 0.94), hair, 0, 180, 360, _HAIR, -1, cv2.LINE_AA)
