"""Who stands still: the picture in a person's place is what it was when he or she was looked at last."""

from __future__ import annotations

import cv2
import numpy as np

from stream.types import Bool, Image, Int, People

GRID = (6, 12)
"""Cells across and down a person's box whose mean greys are compared; a hand or a foot fills about one."""

CHANGE = 20
"""Grey levels by which one of them has to change: more than noise, less than a hand before a coat."""


class Stillness:
    """The places of the people of one stream, as they looked then."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[Int, Image]] = {}
        self._shape: tuple[int, ...] = ()

    def of(self, image: Image, ids: Int) -> Bool:
        """Who of `ids` [N] has not moved, bool [N]; whoever was never looked at has, and so have all in a new size.

        Args:
            image: uint8 [H, W, 3], the newest.
        """
        if image.shape != self._shape:
            return np.zeros(len(ids), np.bool_)
        return np.array(
            [id_ in self._places and self._same(image, *self._places[id_]) for id_ in ids.tolist()], np.bool_
        )

    def looked(self, image: Image, people: People) -> None:
        """Take note of those of `people` who were looked at in this picture, and forget who is not among them."""
        if image.shape != self._shape:
            self._places, self._shape = {}, image.shape
        everybody = set(people.ids.tolist())
        self._places = {id_: place for id_, place in self._places.items() if id_ in everybody}
        height, width = image.shape[:2]
        boxes = np.concatenate([np.floor(people.boxes[:, :2]), np.ceil(people.boxes[:, 2:])], axis=1)
        places = boxes.clip(0, (width, height, width, height)).astype(np.int64)
        for row in (~people.predicted).nonzero()[0].tolist():
            x1, y1, x2, y2 = places[row].tolist()
            if x1 < x2 and y1 < y2:
                self._places[int(people.ids[row])] = places[row], _greys(image, places[row])

    def _same(self, image: Image, box: Int, before: Image) -> bool:
        return int(cv2.absdiff(before, _greys(image, box)).max()) < CHANGE


def _greys(image: Image, box: Int) -> Image:
    x1, y1, x2, y2 = box.tolist()
    return np.asarray(
        cv2.cvtColor(cv2.resize(image[y1:y2, x1:x2], GRID, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
    )
