"""Masks that are not made anew in every frame: whose turn it is, and where the others' have moved to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from stream.types import Float, Mask, People, Polygon

AnyMask = Mask | Polygon

_TORSO = (5, 6, 11, 12)
"""Shoulders and hips: they move as the person does, whatever arms and legs do."""

_SURE = 0.3


@dataclass(slots=True)
class _Made:
    """A mask, where its person was then, and how many frames ago that was."""

    mask: AnyMask | None
    torso: Float
    centre: Float
    age: int = 0


class MaskMemory:
    """The newest mask of everybody in one stream."""

    def __init__(self) -> None:
        self._made: dict[int, _Made] = {}

    def due(self, people: People, every: int, *, together: bool = False) -> npt.NDArray[np.intp]:
        """Rows of those whose mask is to be made now: who has none, and each frame an `every`th part, the oldest.

        Args:
            people: of the frame.
            every: frames from one mask of a person to the next.
            together: all or nobody, for a network that looks at the whole picture and so costs the same for both.
        """
        ages = [self._made[id_].age + 1 if id_ in self._made else math.inf for id_ in people.ids.tolist()]
        if together:
            return np.arange(len(people) if max(ages, default=0) >= every else 0)
        turns = max(math.ceil(len(people) / every), ages.count(math.inf))
        return np.sort(np.argsort([-age for age in ages], kind="stable")[:turns])

    def complete(self, people: People, rows: Sequence[int], masks: Sequence[AnyMask | None]) -> People:
        """`people` with a mask each: those of `rows` have just been made, the others move with their person."""
        torsos, centres = _torsos(people), (people.boxes[:, :2] + people.boxes[:, 2:]) / 2
        ids = people.ids.tolist()
        self._made = {id_: made for id_, made in self._made.items() if id_ in set(ids)}
        for made in self._made.values():
            made.age += 1
        for row, mask in zip(rows, masks, strict=True):
            self._made[ids[row]] = _Made(mask, torsos[row], centres[row])
        now = []
        for id_, torso, centre in zip(ids, torsos, centres, strict=True):
            made = self._made[id_]
            way = torso - made.torso
            way = centre - made.centre if np.isnan(way).any() else way
            now.append(None if made.mask is None else moved(made.mask, way, people.frame_size))
        return replace(people, masks=tuple(now))


def moved(mask: AnyMask, way: Float, frame_size: tuple[int, int]) -> AnyMask:
    """`mask` by `way` (x, y) pixels, to whole pixels; what leaves the frame of (height, width) is cut off."""
    dx, dy = (round(float(step)) for step in way)
    x, y = mask.origin[0] + dx, mask.origin[1] + dy
    height, width = frame_size
    top, left = max(-y, 0), max(-x, 0)
    bottom, right = min(mask.size[0], height - y), min(mask.size[1], width - x)
    if (top, left) == (0, 0) and (bottom, right) == mask.size:
        return replace(mask, origin=(x, y))
    window = mask.window()[top : max(bottom, top), left : max(right, left)]
    return type(mask).encode(window, (x + left, y + top))


def _torsos(people: People) -> Float:
    """The middle of everybody's torso, float32 [N, 2]; NaN where it is not wholly seen."""
    torso = people.keypoints[:, list(_TORSO)]
    middle = torso[:, :, :2].mean(axis=1)
    middle[(torso[:, :, 2] < _SURE).any(axis=1)] = np.nan
    torsos: Float = middle.astype(np.float32)
    return torsos
