from __future__ import annotations

import numpy as np

from models.pose.simcc import decode


def test_the_largest_bin_tells_the_place_in_half_pixels() -> None:
    x, y = np.zeros((2, 3, 384), np.float32), np.zeros((2, 3, 512), np.float32)
    x[1, 2, 383], y[1, 2, 7] = 0.8, 0.6
    places, scores = decode(x, y)
    assert places.shape == (2, 3, 2)
    assert places[1, 2].tolist() == [191.5, 3.5]
    assert scores[1, 2] == np.float32(0.6)
    assert places.dtype == scores.dtype == np.float32


def test_the_less_certain_axis_is_the_score() -> None:
    x, y = np.zeros((1, 2, 8), np.float32), np.zeros((1, 2, 8), np.float32)
    x[0, 0, 3], y[0, 0, 3] = 0.3, 0.9
    x[0, 1, 3], y[0, 1, 3] = 0.7, 0.2
    assert decode(x, y)[1].tolist() == [[np.float32(0.3), np.float32(0.2)]]


def test_scores_never_leave_0_to_1() -> None:
    x, y = np.full((1, 2, 8), -0.5, np.float32), np.full((1, 2, 8), -0.1, np.float32)
    x[0, 1], y[0, 1] = 1.2, 1.1
    assert decode(x, y)[1].tolist() == [[0.0, 1.0]]


def test_nobody_decodes_to_nothing() -> None:
    places, scores = decode(np.zeros((0, 17, 384), np.float32), np.zeros((0, 17, 512), np.float32))
    assert places.shape == (0, 17, 2)
    assert scores.shape == (0, 17)
