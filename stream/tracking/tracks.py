"""The tracks of one stream: parallel arrays with one row per track."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from stream.tracking.kalman import State
from stream.types import UNTRACKED, Bool, Float, Int, People

Double: TypeAlias = npt.NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Tracks:
    """T people who are followed.

    Attributes:
        state: float64 [5, T, 4], of the Kalman filter.
        ids: int64 [T], `UNTRACKED` until confirmed.
        seen: float64 [T], when each was last seen, seconds of the tracker's clock.
        hits: int64 [T], in how many frames each was seen.
        missed: int64 [T], in how many frames each has not been seen since; 0: seen in the newest frame.
        age: int64 [T], in how many frames nobody has looked at each, though there was no reason to doubt.
        scores: float32 [T], boxes: float64 [T, 4], keypoints: float32 [T, 17, 3], as they were last seen.
    """

    state: State
    ids: Int
    seen: Double
    hits: Int
    missed: Int
    age: Int
    scores: Float
    boxes: Double
    keypoints: Float

    @staticmethod
    def new(state: State, now: float, scores: Float, boxes: Double, keypoints: Float) -> Tracks:
        """Tracks of people seen for the first time."""
        n = len(boxes)
        return Tracks(
            state=state,
            ids=np.full(n, UNTRACKED, np.int64),
            seen=np.full(n, now),
            hits=np.ones(n, np.int64),
            missed=np.zeros(n, np.int64),
            age=np.zeros(n, np.int64),
            scores=scores,
            boxes=boxes,
            keypoints=keypoints,
        )

    @staticmethod
    def none() -> Tracks:
        nobody = People.none((0, 0))
        return Tracks.new(np.zeros((5, 0, 4)), 0.0, nobody.scores, np.zeros((0, 4)), nobody.keypoints)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def confirmed(self) -> Bool:
        """Whether each is taken for a person and published, bool [T]."""
        confirmed: Bool = self.ids != UNTRACKED
        return confirmed

    @property
    def settled(self) -> Bool:
        """Who is confirmed and was seen in the newest frame, bool [T]."""
        settled: Bool = self.confirmed & (self.missed == 0)
        return settled

    def keep(self, rows: Bool | npt.NDArray[np.intp]) -> None:
        """Drops all others."""
        for column in _COLUMNS:
            values = getattr(self, column)
            setattr(self, column, values[:, rows] if column == "state" else values[rows])

    def extend(self, others: Tracks) -> None:
        """Adds the tracks of `others` behind these."""
        for column in _COLUMNS:
            pair = getattr(self, column), getattr(others, column)
            setattr(self, column, np.concatenate(pair, axis=1 if column == "state" else 0))


_COLUMNS = tuple(field.name for field in fields(Tracks))
