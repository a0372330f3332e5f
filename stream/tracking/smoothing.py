"""Smoothing of keypoints over time: the one-euro filter, for all people and keypoints at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from stream.config import TrackConfig
from stream.types import KEYPOINTS, Int, People

Double: TypeAlias = npt.NDArray[np.float64]
Complex: TypeAlias = npt.NDArray[np.complex128]
Rows: TypeAlias = npt.NDArray[np.intp]

_SPEED_CUTOFF = 1.0
"""Cutoff of the low-pass filter of the speed, Hz, as the paper advises."""


class KeypointSmoother:
    """Takes the jitter out of the keypoints of tracked people.

    One-euro filter (Casiez, Roussel and Vogel 2012): a low-pass filter whose cutoff rises with speed, so that a still
    limb does not tremble and a fast one does not lag. It works relative to the centre of the person's box, in heights
    of the box: walking costs no lag, and the far and the near are smoothed alike. Places are complex numbers, x + iy,
    so that one operation serves both coordinates and the speed of a keypoint is an absolute value.

    Args:
        settings: of them `smooth_cutoff`, `smooth_speed` and `lost_seconds`.
    """

    def __init__(self, settings: TrackConfig) -> None:
        self._settings = settings
        self._ids = np.zeros(0, np.int64)
        self._value = np.zeros((0, len(KEYPOINTS)), np.complex128)
        self._speed = np.zeros((0, len(KEYPOINTS)), np.complex128)
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
        settings, (known, memory) = self._settings, self._find(people.ids)
        value, speed, seen = self._recall(len(people), known, memory)
        boxes = people.boxes.astype(np.float64)
        centre = _complex((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
        height = (boxes[:, 3] - boxes[:, 1])[:, None]
        shown = people.keypoints[:, :, 2] > 0

        elapsed = time - seen
        now = shown & (elapsed > 0)
        recent = now & (elapsed <= settings.lost_seconds)
        rate = np.divide(1.0, elapsed, out=np.zeros_like(elapsed), where=recent)  # 0: begins at what is measured
        innovation = (_complex(people.keypoints[:, :, :2]) - centre) / height - value
        new_speed = speed + _weight(_SPEED_CUTOFF, rate) * (innovation * rate - speed)
        cutoff = settings.smooth_cutoff + settings.smooth_speed * np.abs(new_speed)
        value = np.where(now, value + _weight(cutoff, rate) * innovation, value)
        speed = np.where(now, new_speed, speed)
        self._remember(people.ids, value, speed, np.where(now, time, seen), memory, time)

        smooth = value * height + centre
        keypoints = people.keypoints.copy()
        np.copyto(keypoints[:, :, 0], smooth.real, where=shown, casting="same_kind")
        np.copyto(keypoints[:, :, 1], smooth.imag, where=shown, casting="same_kind")
        return replace(people, keypoints=keypoints)

    def _find(self, ids: Int) -> tuple[Rows, Rows]:
        """Which of `ids` are remembered, and where."""
        known, memory = (ids[:, None] == self._ids).nonzero()
        return known, memory

    def _recall(self, people: int, known: Rows, memory: Rows) -> tuple[Complex, Complex, Double]:
        """Value, speed and time of each keypoint when last seen, the time minus infinity where it never was."""
        value = np.zeros((people, len(KEYPOINTS)), np.complex128)
        speed, seen = value.copy(), np.full(value.shape, -np.inf)
        value[known], speed[known], seen[known] = self._value[memory], self._speed[memory], self._seen[memory]
        return value, speed, seen

    def _remember(self, ids: Int, value: Complex, speed: Complex, seen: Double, memory: Rows, time: float) -> None:
        """Keeps the people of this frame, of whom some were in `memory`, and those whom the tracker may find again."""
        rest = np.ones(len(self), np.bool_)
        rest[memory] = False
        if np.count_nonzero(rest):
            rest &= time - self._seen.max(axis=1) <= self._settings.lost_seconds
            ids = np.concatenate([ids, self._ids[rest]])
            value = np.concatenate([value, self._value[rest]])
            speed = np.concatenate([speed, self._speed[rest]])
            seen = np.concatenate([seen, self._seen[rest]])
        self._ids, self._value, self._speed, self._seen = ids, value, speed, seen


def _complex(places: npt.NDArray[np.floating]) -> Complex:
    """Places [..., 2] as x + iy."""
    contiguous = np.array(places, np.float64, order="C")
    return contiguous.view(np.complex128)[..., 0]


def _weight(cutoff: Double | float, rate: Double) -> Double:
    """Of the newest sample in a low-pass filter, 0..1: cutoff in Hz, rate in samples per second."""
    weight: Double = 1 / (1 + rate / (2 * np.pi * cutoff))
    return weight
