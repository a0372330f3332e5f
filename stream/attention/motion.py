"""Motion where nobody is known to be: a reason to look for new people."""

from __future__ import annotations

import cv2
import numpy as np

from stream.types import Bool, Float, Image

CELL = 8
"""Pixels of the frame per cell of the small picture that is compared."""

CHANGE = 20
"""Grey levels by which a cell has to change: more than noise, less than a coat against a wall."""

LEAST = 6
"""Cells that have to change, out of the some fifty of a person who is a hundred pixels high."""

MARGIN = 0.2
"""How much wider and higher than their boxes people are taken to be, for their shadows."""

FORGET = 0.98
"""What is left after a frame of a place's habit of moving: half after a second or so of 30 frames."""


class Motion:
    """Compares the frames of one stream, one after another.

    What moves where a detection found nobody, a tree or a flag, is known from then on and no reason for a while.
    """

    def __init__(self) -> None:
        self._before: Image | None = None
        self._habit: Float = np.zeros((0, 0), np.float32)
        self._moving: Bool = np.zeros((0, 0), np.bool_)

    def look(self, image: Image) -> None:
        """Compare the next frame, uint8 [H, W, 3], with the one before."""
        height, width = max(image.shape[0] // CELL, 1), max(image.shape[1] // CELL, 1)
        small = np.asarray(cv2.cvtColor(cv2.resize(image, (width, height)), cv2.COLOR_BGR2GRAY), np.uint8)
        if self._before is None or self._before.shape != small.shape:
            self._habit = np.zeros(small.shape, np.float32)
            self._moving = np.zeros(small.shape, np.bool_)
        else:
            self._moving = np.asarray(cv2.absdiff(small, self._before)) > CHANGE
            self._habit *= FORGET
        self._before = small

    def elsewhere(self, boxes: Float) -> bool:
        """Whether something moved outside of `boxes`, float32 [N, 4], that has no habit of it."""
        return int((self._outside(boxes) & (self._habit < 0.5)).sum()) >= LEAST

    def nobody_but(self, boxes: Float) -> None:
        """A detection found these people: whatever moves elsewhere is nobody."""
        self._habit[self._outside(boxes)] = 1.0

    def _outside(self, boxes: Float) -> Bool:
        moving = self._moving.copy()
        margin = MARGIN * (boxes[:, 2:] - boxes[:, :2])
        low = np.maximum(np.floor((boxes[:, :2] - margin) / CELL), 0).astype(int)
        high = np.maximum(np.ceil((boxes[:, 2:] + margin) / CELL), 0).astype(int)
        for (left, top), (right, bottom) in zip(low.tolist(), high.tolist(), strict=True):
            moving[top:bottom, left:right] = False
        return moving
