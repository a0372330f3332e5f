"""Perception without networks, for tests of what is built around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.tasks import Boxes, Image
from stream.assembly import Assembly
from stream.config import Config, StreamConfig
from stream.perception import Perception


class Walker:
    """Finds one person who stands in the middle of every image; `before` is called with every batch."""

    def __init__(self, before: Callable[[Sequence[Image]], None] = lambda _: None) -> None:
        self._before = before

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        self._before(images)
        return [self._box(*image.shape[:2]) for image in images]

    def _box(self, height: int, width: int) -> Boxes:
        middle = np.array([[width * 0.4, height * 0.3, width * 0.6, height * 0.7]], np.float32)
        return Boxes(middle, np.array([0.9], np.float32))


def assembly(before: Callable[[Sequence[Image]], None] = lambda _: None) -> Assembly:
    """An assembly of a `Walker`."""
    return Assembly(Perception(Walker(before)), {"detector": "walker"}, {}, 1)


def patterns(*ids: str, frames: int = 20, **others: object) -> Config:
    """A configuration of short test patterns, and whatever else is given."""
    streams = tuple(StreamConfig(id=id_, source=f"testpattern://96x64@25?frames={frames}") for id_ in ids)
    return Config.model_validate({"streams": streams, **others})
