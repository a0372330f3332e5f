from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.pose.crops import Crops
from models.pose.flip import averaged
from models.pose.heatmaps import at, decode, peaks, shifted
from models.tasks import Float
from tests.oracles.heatmap_networks import people, smooth_maps

GOLDEN = Path(__file__).parent / "golden" / "heatmaps.npz"


def bump(x: float, y: float, height: int = 16, width: int = 12) -> Float:
    """Heat maps [1, 17, height, width] of which every one has its bump at x, y."""
    rows, columns = np.mgrid[:height, :width]
    bell = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8).astype(np.float32)
    return np.tile(bell, (1, 17, 1, 1))


def test_places_in_the_image_are_not_those_of_the_authors_own_decoder() -> None:
    golden = np.load(GOLDEN)
    places, scores = decode(smooth_maps())
    in_image = Crops.around(people(), (4 * 24, 4 * 18), 1.25).to_image(places * 4)
    np.testing.assert_allclose(in_image, golden["places"], rtol=0, atol=1e-3)
    np.testing.assert_allclose(scores, golden["scores"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("x", "y"), [(5.3, 7.0), (4.8, 9.4), (6.0, 8.0)])
def test_a_place_between_cells_is_off_by_more_than_half_a_quarter(x: float, y: float) -> None:
    places, _ = decode(bump(x, y))
    assert np.abs(places - (x, y)).max() <= 0.2


@pytest.mark.parametrize("place", [(0, 0), (11, 15), (0, 15), (11, 0), (1, 8), (5, 1)])
def test_a_place_at_the_border_reaches_for_a_neighbour_that_is_not_there(place: tuple[int, int]) -> None:
    places, _ = decode(bump(*place))
    assert (places == place).all()


def test_an_empty_map_is_a_keypoint_that_was_found() -> None:
    places, scores = decode(np.zeros((2, 17, 16, 12), np.float32))
    assert (places == 0).all() and (scores == 0).all()
    _, negative = decode(np.full((1, 17, 16, 12), -3, np.float32))
    assert (negative == 0).all()


def test_a_score_leaves_the_range_of_scores() -> None:
    assert decode(bump(5, 5) * 1.4)[1].max() == 1


def test_nobody_has_keypoints() -> None:
    places, scores = decode(np.zeros((0, 17, 64, 48), np.float32))
    assert places.shape == (0, 17, 2) and scores.shape == (0, 17)


def test_what_is_read_beside_a_peak_is_of_another_person_or_keypoint() -> None:
    random = np.random.default_rng(0)
    maps, depths = random.random((2, 3, 17, 16, 12), np.float32)
    cells, best = peaks(maps)
    np.testing.assert_array_equal(at(maps, cells), best)
    column, row = cells[2, 5]
    assert at(depths, cells)[2, 5] == depths[2, 5, row, column]


def test_the_mirror_moves_a_place_by_a_cell() -> None:
    """Pixel x of a crop of 48 is 47 - x in the mirror; a network puts the bump at a quarter of either."""
    for x in (8, 20, 37):
        both = averaged(bump(x / 4, 7), shifted(bump((47 - x) / 4, 7)), along_x=True)
        off = decode(both)[0][0, 0, 0] - x / 4
        assert abs(off) <= 0.25
