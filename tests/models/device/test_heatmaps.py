from __future__ import annotations

import numpy as np
import pytest
import torch

from models.device import heatmaps
from models.pose import heatmaps as on_arrays
from tests.models.device.running import Waits


@pytest.mark.parametrize("shape", [(64, 48), (7, 9), (1, 1), (2, 3)])
def test_a_keypoint_lies_elsewhere_than_on_the_processor(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    maps = (random.integers(-8, 9, (40, 17, *shape)) / 8).astype(np.float32)  # many cells are equal
    maps[:5, :, 0] += 1
    maps[5:9, :, :, -1] += 1
    maps[3, 4] = -1
    places, scores = on_arrays.decode(maps)
    with Waits() as waits:
        ours = heatmaps.decode(torch.from_numpy(maps))
    np.testing.assert_array_equal(ours[..., :2], places)
    np.testing.assert_array_equal(ours[..., 2], scores)
    assert waits.noted == []


@pytest.mark.parametrize("column", range(7))
@pytest.mark.parametrize("row", range(6))
def test_at_the_border_it_is_moved_or_inside_it_is_not(row: int, column: int) -> None:
    maps = np.random.default_rng(row).random((1, 1, 6, 7), np.float32)
    maps[0, 0, row, column] = 2
    places, _ = on_arrays.decode(maps)
    np.testing.assert_array_equal(heatmaps.decode(torch.from_numpy(maps))[..., :2], places)
