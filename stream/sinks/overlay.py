"""Results drawn into their frame: tinted masks, skeletons, ids, and the ways people came.

Blending happens inside the window of each mask alone; everything else is drawn with antialiased lines at the precision
of a sixteenth of a pixel. Widths and letters grow with the frame, limbs with the person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from stream.sinks.palette import Colour, colour_of, mixed
from stream.types import SKELETON, UNTRACKED, Float, FrameResult, Image, Mask, People, Polygon

_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (128, 128, 128)
_INK: Colour = (24, 20, 18)
_FONT = cv2.FONT_HERSHEY_DUPLEX
_LETTERS = 0.38
"""Size of the letters in a frame of 768 x 576, as a share of the font's own size; ten pixels high."""

_SUBPIXEL = 4
"""Fractional bits of the coordinates that OpenCV gets."""


@dataclass(frozen=True, slots=True)
class Style:
    """What is drawn and how strongly.

    Attributes:
        tint: opacity of the masks, 0..1.
        keypoint_score: keypoints below it are left out.
        caption: whether the stream's name, its time, the number of people and the frame rate stand in the corner.
        size: of letters and lines, as a multiple of what suits the frame; for a picture that is to be shown smaller.
    """

    tint: float = 0.45
    keypoint_score: float = 0.3
    caption: bool = True
    size: float = 1.0


_STYLE = Style()
_LIMBS = np.array(SKELETON)


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """One person as it is painted."""

    id: int
    box: Float
    keypoints: Float
    mask: Mask | Polygon | None
    trail: Float | None
    hidden: bool
    colour: Colour


@dataclass(frozen=True, slots=True)
class _Plate:
    """Where a label stands, pixels."""

    left: int
    top: int
    width: int
    height: int

    def hides(self, other: _Plate) -> bool:
        """Whether the two overlap."""
        beside = self.left >= other.left + other.width or other.left >= self.left + self.width
        above = self.top >= other.top + other.height or other.top >= self.top + self.height
        return not beside and not above


def draw(
    image: Image, result: FrameResult, trails: Mapping[int, Float], style: Style = _STYLE, fps: float | None = None
) -> Image:
    """A copy of `image` with everybody of `result` drawn into it.

    Args:
        image: uint8 [H, W, 3], BGR, the frame of `result`.
        result: who is where.
        trails: id -> float32 [N, 2], where the person stood, oldest first; see `Trails`.
        style: what is drawn.
        fps: frames per second, for the caption; None leaves it out.
    """
    canvas = image.copy()
    scale = style.size * math.sqrt(image.shape[0] * image.shape[1] / (768 * 576))
    people = _back_to_front(result.people, trails)
    for person in people:
        _draw_trail(canvas, person, scale)
    for person in people:
        _draw_mask(canvas, person, style.tint)
    for person in people:
        _draw_corners(canvas, person, scale)
        _draw_skeleton(canvas, person, style.keypoint_score)
    plates: list[_Plate] = []
    for person in reversed(people):  # the nearest has the first choice of where its label stands
        _draw_label(canvas, person, scale, plates)
    if style.caption:
        _draw_caption(canvas, result, scale, fps)
    return canvas


def _back_to_front(people: People, trails: Mapping[int, Float]) -> list[_Person]:
    """Everybody, who stands further back first, so that the nearer ones are painted over them."""
    persons = []
    for i in np.argsort(people.boxes[:, 3]):
        id_, hidden = int(people.ids[i]), bool(people.hidden[i])
        colour = mixed(colour_of(id_), _GREY, 0.5) if hidden else colour_of(id_)
        persons.append(
            _Person(id_, people.boxes[i], people.keypoints[i], people.rle(i), trails.get(id_), hidden, colour)
        )
    return persons


def _draw_trail(canvas: Image, person: _Person, scale: float) -> None:
    """The way to where the person stands, growing from thin to thick."""
    if person.trail is None:
        return
    for begin, width in ((0, 0.7), (0.35, 1.4), (0.7, 2.1)):
        part = person.trail[int(begin * len(person.trail)) :]
        _draw_lines(canvas, [part], person.colour, max(1, round(width * scale)))


def _draw_mask(canvas: Image, person: _Person, tint: float) -> None:
    if person.mask is None:
        return
    x, y = person.mask.origin
    left, top = max(x, 0), max(y, 0)
    window = person.mask.window()[top - y :, left - x :].astype(np.uint8)
    area = canvas[top : top + window.shape[0], left : left + window.shape[1]]
    window = window[: area.shape[0], : area.shape[1]]
    if not window.size:
        return
    tinted = cv2.addWeighted(area, 1 - tint, np.full_like(area, person.colour), tint, 0)
    cv2.copyTo(tinted, window, area)
    outlines, _ = cv2.findContours(window, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(area, outlines, -1, person.colour, 1, cv2.LINE_AA)


def _draw_corners(canvas: Image, person: _Person, scale: float) -> None:
    x1, y1, x2, y2 = person.box.tolist()
    arm = 0.18 * min(x2 - x1, y2 - y1)
    corners = [
        [(x + dx * arm, y), (x, y), (x, y + dy * arm)]
        for x, y, dx, dy in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1))
    ]
    _draw_lines(canvas, corners, person.colour, max(1, round(scale)))


def _draw_skeleton(canvas: Image, person: _Person, lowest: float) -> None:
    if person.hidden:
        return
    limbs = person.keypoints[_LIMBS]
    limbs = limbs[limbs[:, :, 2].min(axis=1) >= lowest, :, :2]
    _, y1, _, y2 = person.box.tolist()
    width = max(1, round(math.sqrt(min(max(0.0, y2 - y1), canvas.shape[0])) / 7))
    _draw_lines(canvas, limbs, mixed(person.colour, _INK, 0.5), width + 2)
    _draw_lines(canvas, limbs, mixed(person.colour, _WHITE, 0.7), width)


def _draw_label(canvas: Image, person: _Person, scale: float, plates: list[_Plate]) -> None:
    x1, y1, x2, y2 = person.box.tolist()
    outside = x2 < 0 or y2 < 0 or x1 >= canvas.shape[1] or y1 >= canvas.shape[0]
    if person.id == UNTRACKED or outside:
        return
    _draw_text(canvas, str(person.id), ((x1 + x2) / 2, y1), scale, _INK, person.colour, plates)


def _draw_caption(canvas: Image, result: FrameResult, scale: float, fps: float | None) -> None:
    minutes, seconds = divmod(max(0.0, result.pts), 60)
    people = "1 person" if len(result.people) == 1 else f"{len(result.people)} people"
    text = f"{result.stream} | {int(minutes):02d}:{seconds:04.1f} | {people}" + (
        f" | {fps:.1f} fps" if fps is not None else ""
    )
    _draw_text(canvas, text, (0, canvas.shape[0]), scale, _WHITE, _INK, [])


def _draw_text(
    canvas: Image,
    text: str,
    at: tuple[float, float],
    scale: float,
    colour: Colour,
    background: Colour,
    plates: list[_Plate],
) -> None:
    """Text on a plate that stands on the point `at` (its bottom centre), within the frame and above other `plates`."""
    size, thickness, pad = _LETTERS * scale, max(1, round(0.7 * scale)), round(3 * scale)
    (letters_wide, letters_high), _ = cv2.getTextSize(text, _FONT, size, thickness)
    width, height = letters_wide + 2 * pad, letters_high + 2 * pad
    plate = _Plate(
        _within(at[0] - width / 2, canvas.shape[1] - width),
        _within(at[1] - height - pad, canvas.shape[0] - height),
        width,
        height,
    )
    while plate.top > 0 and (hidden := [other.top for other in plates if plate.hides(other)]):
        plate = replace(plate, top=max(0, min(hidden) - height))
    plates.append(plate)
    canvas[plate.top : plate.top + height, plate.left : plate.left + width] = background
    origin = (plate.left + pad, plate.top + pad + letters_high)
    cv2.putText(canvas, text, origin, _FONT, size, colour, thickness, cv2.LINE_AA)


def _within(value: float, highest: int) -> int:
    return max(0, min(round(value), highest))


def _draw_lines(canvas: Image, lines: npt.ArrayLike, colour: Colour, thickness: int) -> None:
    """Antialiased lines [L, P, 2] through points (x, y) in pixels; far outside of the frame they are cut off."""
    limit = 4.0 * max(canvas.shape)
    points = (np.clip(np.asarray(lines, np.float64), -limit, limit) * (1 << _SUBPIXEL)).round().astype(np.int32)
    cv2.polylines(canvas, list(points), False, colour, thickness, cv2.LINE_AA, _SUBPIXEL)
