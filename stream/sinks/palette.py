"""Colours that tell people apart: one per id, the same in every frame and every run."""

from __future__ import annotations

import math
from functools import lru_cache

from stream.types import UNTRACKED

Colour = tuple[int, int, int]
"""Blue, green, red; 0..255."""

_LIGHTNESSES = (0.66, 0.71, 0.76, 0.81, 0.86)
"""They alternate, for ids that are 8 or 13 apart have nearly the same hue; dark text is readable on each."""

_CHROMA = 0.16
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
"""Radians; successive multiples of it stay as far apart on a circle as they can."""


@lru_cache(maxsize=4096)
def colour_of(person: int) -> Colour:
    """The colour of an id: hues a golden angle apart, of alternating lightness.

    Conversion from OKLab: B. Ottosson, "A perceptual color space for image processing", 2020.
    """
    chroma = 0.0 if person == UNTRACKED else _CHROMA
    hue = (person + 0.5) * _GOLDEN_ANGLE
    lightness = _LIGHTNESSES[person % len(_LIGHTNESSES)]
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        _encoded(-0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short),
        _encoded(-1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short),
        _encoded(4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short),
    )


def mixed(colour: Colour, other: Colour, share: float) -> Colour:
    """`colour` with a `share` (0..1) of `other`."""
    blue, green, red = (round(x + share * (y - x)) for x, y in zip(colour, other, strict=True))
    return blue, green, red


def _encoded(linear: float) -> int:
    """A linear light value as sRGB 0..255 (IEC 61966-2-1); what the screen cannot show is cut off."""
    value = min(max(linear, 0.0), 1.0)
    value = 12.92 * value if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055
    return round(255 * value)
