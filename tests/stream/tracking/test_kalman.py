"""The batched Kalman filter of boxes against filterpy, one filter per track."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter

from stream.tracking.kalman import BoxFilter, to_boxes

MOTION, BOX = 0.35, 0.05


class Textbook:
    """One track: the 8x8 matrices of filterpy; state cx, its rate, cy, its rate, w, its rate, h, its rate."""

    def __init__(self, box: npt.NDArray) -> None:
        self.filter = KalmanFilter(dim_x=8, dim_z=4)
        self.filter.H = np.kron(np.eye(4), [1.0, 0.0])
        self.filter.x[::2, 0] = self._measure(box)
        rates = self.height * np.array([1.0, 1.0, 0.3, 0.3])
        self.filter.P = np.diag(np.stack([np.diag(self._error()), rates**2], axis=1).ravel())

    @property
    def height(self) -> float:
        return float(self.filter.x[6, 0])

    def predict(self, dt: float) -> None:
        densities = (self.height * MOTION * np.array([1, 1, 0.3, 0.3])) ** 2
        q = np.zeros((8, 8))
        for n, density in enumerate(densities):
            block = slice(2 * n, 2 * n + 2)
            q[block, block] = Q_continuous_white_noise(dim=2, dt=dt, spectral_density=density)
        self.filter.predict(F=np.kron(np.eye(4), [[1.0, dt], [0.0, 1.0]]), Q=q)

    def correct(self, box: npt.NDArray) -> None:
        self.filter.update(self._measure(box)[:, None], R=self._error())

    def _error(self) -> npt.NDArray:
        return np.diag((self.height * BOX * np.array([1, 1, 2, 2])) ** 2)

    @staticmethod
    def _measure(box: npt.NDArray) -> npt.NDArray:
        return np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])


def _boxes(random: np.random.Generator, n: int) -> npt.NDArray:
    corner = random.uniform(0, 1000, (n, 2))
    return np.concatenate([corner, corner + random.uniform((40, 100), (120, 300), (n, 2))], axis=1)


def test_batching_does_not_change_the_numbers_of_the_textbook_filter() -> None:
    random = np.random.default_rng(0)
    boxes = _boxes(random, 7)
    batched = BoxFilter(MOTION, BOX)
    state = batched.initiate(boxes)
    singles = [Textbook(box) for box in boxes]
    for _ in range(50):
        dt = random.uniform(0.0, 0.3)
        seen = np.flatnonzero(random.random(7) < 0.7)
        boxes = boxes + random.normal(0, 1, boxes.shape)
        batched.predict(state, dt)
        batched.correct(state, seen, boxes[seen])
        for single in singles:
            single.predict(dt)
        for row in seen:
            singles[row].correct(boxes[row])
    x = np.stack([single.filter.x.reshape(4, 2) for single in singles])
    p = np.stack([single.filter.P for single in singles])
    even, odd = np.arange(0, 8, 2), np.arange(1, 8, 2)
    expected = np.stack([x[:, :, 0], x[:, :, 1], p[:, even, even], p[:, even, odd], p[:, odd, odd]])
    np.testing.assert_allclose(state, expected, rtol=1e-9)


def test_a_dropped_frame_does_not_change_where_somebody_is_expected() -> None:
    boxes = _boxes(np.random.default_rng(1), 3)
    filter_ = BoxFilter(MOTION, BOX)
    once, twice = filter_.initiate(boxes), filter_.initiate(boxes)
    for state in (once, twice):
        state[1, :, :2] = 50.0
    filter_.predict(once, 0.4)
    filter_.predict(twice, 0.1)
    filter_.predict(twice, 0.3)
    np.testing.assert_allclose(once, twice, rtol=1e-12)


def test_a_box_that_shrinks_does_not_turn_inside_out() -> None:
    filter_ = BoxFilter(MOTION, BOX)
    state = filter_.initiate(np.array([[0.0, 0.0, 40.0, 100.0]]))
    state[1, :, 2:] = -90.0
    filter_.predict(state, 5.0)
    x1, y1, x2, y2 = to_boxes(state)[0]
    assert x2 - x1 == pytest.approx(1.0)
    assert y2 - y1 == pytest.approx(1.0)


def test_the_size_of_a_hidden_person_does_not_drift_away() -> None:
    filter_ = BoxFilter(MOTION, BOX)
    state = filter_.initiate(np.array([[0.0, 0.0, 40.0, 100.0], [0.0, 0.0, 40.0, 100.0]]))
    state[1] = -10.0
    filter_.hold_size(state, np.array([True, False]))
    filter_.predict(state, 1.0)
    np.testing.assert_allclose(state[0, 0], [10.0, 40.0, 40.0, 100.0])
    np.testing.assert_allclose(state[0, 1], [10.0, 40.0, 30.0, 90.0])
