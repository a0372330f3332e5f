"""Masks that are not made anew in every frame: whose turn it is, and where the others' have moved to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from stream.attention.budget import PATIENCE
from stream.attention.puppet import Puppet
from stream.types import Float, Mask, People, Polygon

AnyMask = Mask | Polygon

_ROUNDING = 1e-6


@dataclass(eq=False)
class _Made:
    """A mask, None where there was none to be made, and where its person was then.

    Attributes:
        age: how many frames ago that was; of a person who has not had a turn yet, frames waited beyond the period.
    """

    mask: AnyMask | None
    keypoints: Float
    centre: Float
    age: int = 0

    @cached_property
    def _puppet(self) -> Puppet | None:
        """Cut when it moves for the first time; in some runs none ever does."""
        return None if self.mask is None else Puppet.cut(self.mask.window(), self.mask.origin, self.keypoints)

    def carried(self, keypoints: Float, centre: Float, frame_size: tuple[int, int]) -> AnyMask | None:
        """The mask of the same person, who has these keypoints now, [17, 3], and this middle of the box, [2]."""
        if self.mask is None or not self.age:
            return self.mask
        posed = None if self._puppet is None else self._puppet.posed(keypoints, frame_size)
        if posed is None:
            return moved(self.mask, centre - self.centre, frame_size)
        return type(self.mask).encode(*posed)


class MaskMemory:
    """The newest mask of everybody in one stream.

    Args:
        every: frames from one mask of a person to the next.
        together: all or nobody, for a network that looks at the whole picture and so costs the same for both.
    """

    def __init__(self, every: int, *, together: bool = False) -> None:
        self._every = every
        self._together = together
        self._turns = 0.0  # that have come by now: with few people, not one in every frame
        self._made: dict[int, _Made] = {}

    def due(self, people: People) -> tuple[npt.NDArray[np.intp], int]:
        """Rows of those whose mask is to be made now: who has none, and each frame an `every`th part, the oldest.

        Nobody who is hidden: what is to be seen there is somebody else.

        Returns:
            Who has waited longest comes first; and how many of them have waited too long to be put off.
        """
        seen = (~people.hidden).nonzero()[0]
        ages = np.array([self._age(id_) for id_ in people.ids[seen].tolist()], np.int64)
        late = ages >= PATIENCE * self._every
        if self._together:
            rows = seen if (ages >= self._every).any() else seen[:0]
            return rows, len(rows) if late.any() else 0
        self._turns += len(seen) / self._every
        turns = max(int(self._turns + _ROUNDING), int((ages > self._every).sum()))
        self._turns = max(self._turns - turns, 0.0)
        return seen[np.argsort(-ages, kind="stable")[:turns]], int(late.sum())

    def forget(self) -> None:
        """Nobody wants masks for now: by the next time all of them are old."""
        self._made, self._turns = {}, 0.0

    def _age(self, id_: int) -> int:
        return 1 + (self._made[id_].age if id_ in self._made else self._every)

    def complete(self, people: People, rows: Sequence[int], masks: Sequence[AnyMask | None]) -> People:
        """`people` with a mask each: those of `rows` have just been made, the others move with their person.

        Whoever is hidden has none.
        """
        centres = (people.boxes[:, :2] + people.boxes[:, 2:]) / 2
        ids = people.ids.tolist()
        made = dict(zip(rows, masks, strict=True))
        before, self._made = self._made, {}
        for row, id_ in enumerate(ids):
            if row in made:
                now = _Made(made[row], people.keypoints[row], centres[row])
            elif id_ in before:
                now = before[id_]
                now.age += 1
            else:
                now = _Made(None, people.keypoints[row], centres[row], self._every + 1)
            self._made[id_] = now
        carried = (
            None if hidden else self._made[id_].carried(points, centre, people.frame_size)
            for id_, hidden, points, centre in zip(ids, people.hidden.tolist(), people.keypoints, centres, strict=True)
        )
        return replace(people, masks=tuple(carried))


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
