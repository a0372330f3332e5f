"""Who stands in the region."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from stream.config import StreamConfig
from stream.region import inside
from stream.types import People


def standing_at(*feet: tuple[float, float]) -> People:
    """People of 20 x 40 pixels in a picture of 100 x 200 (height, width), whose feet are there."""
    boxes = np.array([[x - 10, y - 40, x + 10, y] for x, y in feet], np.float32)
    return People.untracked(boxes, np.ones(len(feet), np.float32), frame_size=(100, 200))


LOWER_LEFT = ((0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))


def test_people_outside_of_the_region_are_published() -> None:
    people = inside(standing_at((50, 80), (150, 80), (50, 40), (99, 99)), LOWER_LEFT)
    assert people.boxes[:, 3].tolist() == [80, 99]


def test_people_at_the_edge_of_the_picture_whose_feet_are_hidden_are_lost() -> None:
    assert len(inside(standing_at((50, 130), (-3, 80)), LOWER_LEFT)) == 2


def test_without_a_region_somebody_is_left_out() -> None:
    assert len(inside(standing_at((50, 80), (-300, 8000)), ())) == 2
    assert len(inside(People.none((100, 200)), LOWER_LEFT)) == 0


def test_a_concave_region_is_taken_for_its_hull() -> None:
    horseshoe = ((0.0, 0.0), (0.3, 0.0), (0.3, 0.7), (0.7, 0.7), (0.7, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    assert inside(standing_at((100, 50), (100, 90), (20, 50)), horseshoe).boxes[:, 3].tolist() == [90, 50]


@pytest.mark.parametrize("region", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [0, 2]], [[0, 0], [1, 1], [0]]])
def test_a_region_that_is_none_is_accepted(region: list[list[float]]) -> None:
    with pytest.raises(ValidationError):
        StreamConfig.model_validate({"id": "a", "source": "a.mp4", "region": region})


def test_a_region_of_a_file_is_refused_for_being_lists() -> None:
    config = StreamConfig.model_validate({"id": "a", "source": "a.mp4", "region": [[0, 0.5], [1, 0.5], [1, 1]]})
    assert config.region == ((0, 0.5), (1, 0.5), (1, 1))
