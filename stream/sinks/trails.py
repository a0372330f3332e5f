"""Where people came from: the last steps of every id of one stream."""

from __future__ import annotations

from collections import deque

import numpy as np

from stream.types import UNTRACKED, Float, FrameResult

_LENGTH = 300
"""Steps kept of one person at most, whatever the frame rate."""

_FOLLOW = 0.4
"""How far a step follows the new position: a box's lower edge trembles with every stride."""


class Trails:
    """Remembers where everybody's feet were, for `seconds` of the video's time."""

    def __init__(self, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._epoch = 0
        self._steps: dict[int, deque[tuple[float, float, float]]] = {}

    def update(self, result: FrameResult) -> dict[int, Float]:
        """Take note of a frame; returns id -> float32 [N, 2], x and y, oldest first."""
        if result.epoch != self._epoch:
            self._steps.clear()
            self._epoch = result.epoch
        boxes, ids = result.people.boxes, result.people.ids.tolist()
        feet = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1).tolist()
        for id_, (x, y) in zip(ids, feet, strict=True):
            if id_ != UNTRACKED:
                steps = self._steps.setdefault(id_, deque(maxlen=_LENGTH))
                _, last_x, last_y = steps[-1] if steps else (0.0, x, y)
                steps.append((result.pts, last_x + _FOLLOW * (x - last_x), last_y + _FOLLOW * (y - last_y)))
        for id_, steps in list(self._steps.items()):
            while steps and not 0 <= result.pts - steps[0][0] <= self._seconds:
                steps.popleft()
            if not steps:
                del self._steps[id_]
        return {id_: np.array(steps, np.float32)[:, 1:] for id_, steps in self._steps.items()}
