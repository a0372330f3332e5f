"""Smoothing of keypoints over time: the one-euro filter, for all people and keypoints at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from stream.config import TrackConfig
from stream.types import KEYPOINTS, People

Double: TypeAlias = npt.NDArray[np.float64]

_SPEED_CUTOFF = 1.0
"""Cutoff of the low-pass filter of the speed, Hz, as the paper advises."""


class KeypointSmoother:
    """Takes the jitter out of the keypoints of tracked people.

    One-euro filter (Casiez, Roussel and Vogel 2012): a low-pass filter whose cutoff rises with speed, so that a still
    limb does not tremble and a fast one does not lag. It works relative to the centre of the person's box, in heights
    of the box: walking costs no lag, and the far and the near are smoothed alike.

    Args:
        settings: of them `smooth_cutoff`, `smooth_speed` and `lost_seconds`.
    """

    def __init__(self, settings: TrackConfig) -> None:
        self._settings = settings
        self._ids = np.zeros(0, np.int64)
        self._value = np.zeros((0, len(KEYPOINTS), 2))
        self._speed = np.zeros((0, len(KEYPOINTS), 2))
        self._seen = np.zeros((0, len(KEYPOINTS)))

    def __len__(self) -> int:
        """How many people are remembered."""
        return len(self._ids)

    def smooth(self, people: People, time: float) -> People:
        """`people` with smooth keypoints; those without a score stay as they are.

        Args:
            people: with ids.
            time: of the frame, seconds, never less than before.
        """
        value, speed, seen = self._recall(people.ids)
        boxes = people.boxes.astype(np.float64)
        centre = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
        height = (boxes[:, 3] - boxes[:, 1])[:, None, None]
        measured = (people.keypoints[:, :, :2] - centre) / height

        now = (people.keypoints[:, :, 2] > 0) & (seen < time)
        step = np.where(now, time - seen, np.inf)[:, :, None]  # infinite for the unknown: begins at what is measured
        step[step > self._settings.lost_seconds] = np.inf
        new_speed = speed + _weight(_SPEED_CUTOFF, step) * ((measured - value) / step - speed)
        pace = np.linalg.norm(new_speed, axis=2, keepdims=True)
        cutoff = self._settings.smooth_cutoff + self._settings.smooth_speed * pace
        new_value = value + _weight(cutoff, step) * (measured - value)

        fresh = now[:, :, None]
        value, speed = np.where(fresh, new_value, value), np.where(fresh, new_speed, speed)
        self._remember(people.ids, value, speed, np.where(now, time, seen), time)
        keypoints = people.keypoints.copy()
        shown = people.keypoints[:, :, 2] > 0
        keypoints[shown, :2] = (value * height + centre)[shown]
        return replace(people, keypoints=keypoints)

    def _recall(self, ids: npt.NDArray[np.int64]) -> tuple[Double, Double, Double]:
        """Value, speed and time of each keypoint when last seen, the time minus infinity where it never was."""
        blank = np.zeros((1, len(KEYPOINTS), 2))
        never = np.full((1, len(KEYPOINTS)), -np.inf)
        same = np.concatenate([ids[:, None] == self._ids, np.ones((len(ids), 1), np.bool_)], axis=1)
        rows = same.argmax(axis=1)  # the last row, the blank one, fits everybody
        return (
            np.concatenate([self._value, blank])[rows],
            np.concatenate([self._speed, blank])[rows],
            np.concatenate([self._seen, never])[rows],
        )

    def _remember(self, ids: npt.NDArray[np.int64], value: Double, speed: Double, seen: Double, time: float) -> None:
        """Keeps the people of this frame, and those whom the tracker may still find again."""
        rest = ~np.isin(self._ids, ids) & (
            time - self._seen.max(axis=1, initial=-np.inf) <= self._settings.lost_seconds
        )
        self._ids = np.concatenate([ids, self._ids[rest]])
        self._value = np.concatenate([value, self._value[rest]])
        self._speed = np.concatenate([speed, self._speed[rest]])
        self._seen = np.concatenate([seen, self._seen[rest]])


def _weight(cutoff: Double | float, step: Double) -> Double:
    """Of the newest sample in a low-pass filter, 0..1: cutoff in Hz, step in seconds."""
    weight: Double = 1 / (1 + 1 / (2 * np.pi * cutoff * step))
    return weight
