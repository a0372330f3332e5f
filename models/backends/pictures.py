"""Pictures to try networks on: people who are drawn, so that a network that finds people has something to find.

On noise a pose network answers with noise, and rounding changes much of that. On these people RTMPose-s finds all
joints with a mean score of .75, as on photographs (.73 on eight crops of COCO).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

_TALL = 0.875
"""Height of a person as a share of the picture's."""

_HEIGHT = 224.0
"""Of the person in whose units the figure below is given: pixels of a picture of 256 rows, x from the middle."""


def pictures(count: int, height: int, width: int) -> Image:
    """`count` pictures, uint8 [count, height, width, 3] BGR, each of as many people as fit; the same at every call."""
    random = np.random.default_rng(0)
    return np.stack([_picture(random, height, width) for _ in range(count)])


def _picture(random: np.random.Generator, height: int, width: int) -> Image:
    """People side by side on a smooth background, with fine grain over all."""
    coarse = random.integers(60, 200, (6, 6, 3), np.uint8)
    picture = np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    size = min(_TALL * height, 1.4 * width)
    places = max(1, round(width / (0.75 * size)))
    for place in range(places):
        _draw(picture, random, ((place + 0.5) * width / places, height / 2), size * random.uniform(0.9, 1.0))
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.0), np.uint8)  # no lens draws such sharp edges
    grain = random.integers(-12, 13, picture.shape, np.int16)
    grainy: Image = np.clip(picture.astype(np.int16) + grain, 0, 255).astype(np.uint8)
    return grainy


def _draw(picture: Image, random: np.random.Generator, middle: tuple[float, float], size: float) -> None:
    """A person who stands and faces the camera, `size` pixels high."""
    scale = size / _HEIGHT
    skin: Colour = (120, 150, 200)
    dark: Colour = (20, 20, 25)
    shirt, trousers = _colour(random, 220), _colour(random, 120)

    def at(x: float, y: float) -> tuple[int, int]:
        return round(middle[0] + x * scale), round(middle[1] + (y - 132) * scale)

    def pixels(length: float) -> int:
        return max(1, round(length * scale))

    def line(points: Sequence[tuple[float, float]], thickness: float, colour: Colour) -> None:
        corners = np.array([at(*point) for point in points], np.int32)
        cv2.polylines(picture, [corners], False, colour, pixels(thickness), cv2.LINE_AA)

    for side in (-1, 1):
        line([(10 * side, 140), (14 * side, 190), (14 * side, 228)], 16, trousers)
        line([(14 * side, 228), (22 * side, 234)], 8, dark)
    torso = np.array([at(-26, 70), at(26, 70), at(20, 145), at(-20, 145)], np.int32)
    cv2.fillConvexPoly(picture, torso, shirt, cv2.LINE_AA)
    for side in (-1, 1):
        line([(26 * side, 74), (36 * side, 108)], 12, shirt)
        line([(36 * side, 108), (34 * side, 138)], 10, skin)
    line([(0, 58), (0, 70)], 12, skin)
    cv2.ellipse(picture, at(0, 44), (pixels(13), pixels(18)), 0, 0, 360, skin, -1, cv2.LINE_AA)
    cv2.ellipse(picture, at(0, 34), (pixels(14), pixels(10)), 0, 180, 360, dark, -1, cv2.LINE_AA)
    for x in (-5, 5):
        cv2.circle(picture, at(x, 42), pixels(2), dark, -1, cv2.LINE_AA)
    line([(-4, 53), (4, 53)], 2, (60, 60, 150))


def _colour(random: np.random.Generator, brightest: int) -> Colour:
    blue, green, red = random.integers(20, brightest, 3).tolist()
    return blue, green, red
