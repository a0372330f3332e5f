"""The Kalman filter of boxes: constant velocity, measured time steps, all tracks in one array.

Centre and size of a box are filtered as four independent coordinates `cx, cy, w, h`, each with a value and a rate, so
that the 8x8 matrices of the textbook fall apart into four 2x2 blocks and every step is a handful of array operations.
The matrices are those of `filterpy.kalman.KalmanFilter` with `filterpy.common.Q_continuous_white_noise`: of the usual
noise models the one for which two steps of dt/2 equal one of dt, which frames that come late or are dropped need.

All noise is in box heights, as people near the camera move and err by more pixels (DeepSORT, Wojke et al. 2017).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Double: TypeAlias = npt.NDArray[np.float64]

State: TypeAlias = Double
"""float64 [5, T, 4]: value, rate, variance of the value, covariance, variance of the rate; T tracks; cx, cy, w, h."""

_INITIAL_SPEED = 1.0
"""Standard deviation of the centre's speed before any is measured: heights per second, a brisk walk is about 0.9."""

_SIZE_RATE = 0.3
"""How much slower sizes change than places (sweep on MOT15: 0.2 to 0.5 are alike)."""

_SIZE_ERROR = 2.0
"""Error of a size relative to that of a centre, as w = x2 - x1, cx = (x1 + x2) / 2, and the edges err independently."""

_CENTRE_AND_SIZE = np.array([[0.5, 0, -1, 0], [0, 0.5, 0, -1], [0.5, 0, 1, 0], [0, 0.5, 0, 1]])
"""Makes cx, cy, w, h of x1, y1, x2, y2, multiplied from the right."""

_CORNERS = np.linalg.inv(_CENTRE_AND_SIZE)
"""And back."""


class BoxFilter:
    """The noise model, and the three steps of the filter.

    Args:
        motion_noise: square root of the spectral density of the centre's acceleration, heights / s^1.5.
        box_noise: standard deviation of the centre of a detected box, heights.
    """

    def __init__(self, motion_noise: float, box_noise: float) -> None:
        sizes, errors = np.array([[1, 1, _SIZE_RATE, _SIZE_RATE]]), np.array([[1, 1, _SIZE_ERROR, _SIZE_ERROR]])
        self._acceleration = (motion_noise * sizes) ** 2
        self._error = (box_noise * errors) ** 2
        self._initial_rate = (_INITIAL_SPEED * sizes) ** 2

    def initiate(self, boxes: Double) -> State:
        """The state of new tracks, first seen at `boxes`, float64 [T, 4] as x1, y1, x2, y2."""
        values = boxes.dot(_CENTRE_AND_SIZE)
        squared_height = _squared_height(values)
        nothing = np.zeros_like(values)
        return np.stack(
            [values, nothing, squared_height.dot(self._error), nothing, squared_height.dot(self._initial_rate)]
        )

    def predict(self, state: State, dt: float) -> None:
        """Carries the state on by `dt` seconds, in place.

        P = F P F' + Q, in which all entries are linear in those of P and in the spectral density of the acceleration.
        """
        density = _squared_height(state[0]).dot(self._acceleration)
        transition = np.array(
            [
                [1.0, dt, 0.0, 0.0, 0.0, 0.0],
                [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 2 * dt, dt**2, dt**3 / 3],
                [0.0, 0.0, 0.0, 1.0, dt, dt**2 / 2],
                [0.0, 0.0, 0.0, 0.0, 1.0, dt],
            ]
        )
        before = np.concatenate([state.reshape(5, -1), density.reshape(1, -1)])
        state[:] = transition.dot(before).reshape(state.shape)
        sizes = state[0, :, 2:]
        np.maximum(sizes, 1.0, out=sizes)  # no box shrinks below a pixel

    def correct(self, state: State, rows: npt.NDArray[np.intp], boxes: Double) -> None:
        """Takes the detected `boxes` [M, 4] of the tracks `rows` [M] in, in place: the update of the textbook."""
        seen = state.take(rows, axis=1)
        value, rate, var, cov, rate_var = seen
        innovation = boxes.dot(_CENTRE_AND_SIZE) - value
        innovation_var = var + _squared_height(value).dot(self._error)
        gain, rate_gain = var / innovation_var, cov / innovation_var
        value += gain * innovation
        rate += rate_gain * innovation
        rate_var -= rate_gain * cov
        cov -= gain * cov
        var -= gain * var
        state[:, rows] = seen

    def hold_size(self, state: State, rows: npt.NDArray[np.bool_]) -> None:
        """Lets hidden people keep their size, in place: who was half hidden already seemed to shrink."""
        state[1, rows, 2:] = 0.0


def to_boxes(state: State) -> Double:
    """The boxes of all tracks, float64 [T, 4] as x1, y1, x2, y2."""
    boxes: Double = state[0].dot(_CORNERS)
    return boxes


def _squared_height(values: Double) -> Double:
    """float64 [T, 1], for each track; times [1, 4] those of the coordinates."""
    return values[:, 3:] ** 2
