from __future__ import annotations

import numpy as np
import torch

from models.device import simcc
from models.pose import simcc as on_arrays
from tests.models.device.running import Waits


def test_a_keypoint_lies_elsewhere_than_on_the_processor() -> None:
    random = np.random.default_rng(0)
    # Steps of an eighth: many bins are equal, and the first of them counts.
    x = (random.integers(-8, 9, (20, 17, 384)) / 8).astype(np.float32)
    y = (random.integers(-8, 9, (20, 17, 512)) / 8).astype(np.float32)
    x[3, 4], y[5, 6] = -1, 0
    places, scores = on_arrays.decode(x, y)
    with Waits() as waits:
        ours = simcc.decode(torch.from_numpy(x), torch.from_numpy(y))
    np.testing.assert_array_equal(ours[..., :2], places)
    np.testing.assert_array_equal(ours[..., 2], scores)
    assert waits.noted == []


def test_half_precision_spoils_the_place() -> None:
    x, y = torch.zeros(1, 1, 384).half(), torch.zeros(1, 1, 512).half()
    x[0, 0, 383] = y[0, 0, 511] = 0.5
    assert simcc.decode(x, y).tolist() == [[[191.5, 255.5, 0.5]]]
