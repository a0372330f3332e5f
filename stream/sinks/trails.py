"""Where people came from: the last steps of every id of one stream."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from stream.types import KEYPOINTS, UNTRACKED, Float, FrameResult, People

_LENGTH = 300
"""Steps kept of one person at most, whatever the frame rate."""

_SETTLE = 0.2
"""Seconds in which a trail follows its person: feet and boxes tremble with every stride."""

_ANKLES = [KEYPOINTS.index("left_ankle"), KEYPOINTS.index("right_ankle")]
_ANKLE_SCORE = 0.3
"""Below it an ankle is a guess, and the lower edge of the box says where somebody stands."""


class Trails:
    """Remembers where everybody stood, for `seconds` of the video's time."""

    def __init__(self, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._epoch = 0
        self._steps: dict[int, deque[tuple[float, float, float]]] = {}

    def update(self, result: FrameResult) -> dict[int, Float]:
        """Take note of a frame; returns id -> float32 [N, 2], x and y, oldest first."""
        if result.epoch != self._epoch:
            self._steps.clear()
            self._epoch = result.epoch
        for id_, (x, y) in zip(result.people.ids.tolist(), _feet(result.people).tolist(), strict=True):
            if id_ != UNTRACKED:
                steps = self._steps.setdefault(id_, deque(maxlen=_LENGTH))
                last, last_x, last_y = steps[-1] if steps else (-math.inf, x, y)
                follow = 1 - math.exp(-max(0.0, result.pts - last) / _SETTLE)
                steps.append((result.pts, last_x + follow * (x - last_x), last_y + follow * (y - last_y)))
        for id_, steps in list(self._steps.items()):
            while steps and not 0 <= result.pts - steps[0][0] <= self._seconds:
                steps.popleft()
            if not steps:
                del self._steps[id_]
        return {id_: np.array(steps, np.float32)[:, 1:] for id_, steps in self._steps.items()}


def _feet(people: People) -> Float:
    """Where everybody stands, [N, 2]: between the ankles, or on the lower edge of the box where one is not seen."""
    boxes, ankles = people.boxes, people.keypoints[:, _ANKLES]
    below = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], axis=1)
    seen = (ankles[:, :, 2] >= _ANKLE_SCORE).all(axis=1) & ~people.predicted
    return np.where(seen[:, None], ankles[:, :, :2].mean(axis=1), below)
