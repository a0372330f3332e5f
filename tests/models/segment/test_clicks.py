"""Clicks from keypoints: a person is clicked on, the neighbours are not, and nothing is drawn out of bounds."""

from __future__ import annotations

import numpy as np
import pytest

from models.segment.clicks import RADIUS, prompt
from models.tasks import Float
from tests.models.segment.people import boxes_of, standing

SIZE = 256
WHOLE = np.array([[1.0, 0, 0], [0, 1, 0]])
"""A crop that is the image's own top-left corner."""


def clicked(people: Float, row: int = 0, region: np.ndarray = WHOLE) -> Float:
    out = np.full((2, SIZE, SIZE), np.nan, np.float32)
    prompt(boxes_of(people), people, row, region, SIZE, out)
    assert set(np.unique(out)) <= {0, 1}
    return out


def test_a_sure_keypoint_is_not_clicked_or_an_unsure_one_is() -> None:
    points = standing((128, 128), 200)
    points[9, 2] = 0.4
    where, not_where = clicked(points[None])
    for joint, (x, y, _) in enumerate(points.round().astype(int)):
        assert where[y, x] == (joint != 9), joint
    x, y = points[[5, 6, 11, 12], :2].mean(0).round().astype(int)
    assert where[y, x]
    assert not_where[[0, 0, -1, -1], [0, -1, 0, -1]].all()
    x1, y1, x2, y2 = boxes_of(points[None])[0]
    beside = 0.05 * np.array([x2 - x1, y2 - y1])
    for x in (x1 - beside[0], x2 + beside[0]):
        for y in (y1 - beside[1], y2 + beside[1]):
            assert not 0 <= y < SIZE or not_where[round(float(y)), round(float(x))]


def test_a_disk_has_another_size_than_in_training() -> None:
    points = standing((128, 128), 200)
    points[:, 2] = 0
    points[9, 2] = 1
    where, _ = clicked(points[None])
    rows, columns = np.nonzero(where)
    x, y = points[9, :2].round()
    assert np.hypot(rows - y, columns - x).max() == RADIUS
    assert where.sum() == sum(np.hypot(i, j) <= RADIUS for i in range(-9, 10) for j in range(-9, 10))


def test_the_crop_shifts_the_clicks() -> None:
    points = standing((400, 300), 200)
    where, _ = clicked(points[None], region=np.array([[2.0, 0, 144], [0, 2, 44]]))
    x, y = (points[0, :2] - (144, 44)) / 2
    assert where[round(float(y)), round(float(x))]


def test_a_neighbour_is_taken_for_the_person() -> None:
    people = np.array([standing((90, 128), 200), standing((190, 128), 200)])
    for row in (0, 1):
        where, not_where = clicked(people, row)
        other = people[1 - row].round().astype(int)
        assert not_where[other[:, 1], other[:, 0]].all()
        assert not where[other[:, 1], other[:, 0]].any()


def test_a_second_box_of_the_same_person_is_held_against_it() -> None:
    people = np.array([standing((128, 128), 200), standing((130, 127), 200)])
    _, not_where = clicked(people)
    joints = people[0].round().astype(int)
    assert not not_where[joints[:, 1], joints[:, 0]].any()


def test_a_person_without_a_sure_keypoint_is_not_clicked_at_all() -> None:
    points = standing((128, 128), 200)
    points[:, 2] = 0.1
    x1, y1, x2, y2 = boxes_of(points[None])[0]
    where, _ = clicked(points[None])
    assert where[round(float(y1 + y2) / 2), round(float(x1 + x2) / 2)]


@pytest.mark.parametrize(
    "place", [(0, 0), (SIZE - 1, SIZE - 1), (-4, 300), (-1e9, 1e9), (np.nan, 5), (np.inf, -np.inf), (1e30, 0)]
)
def test_a_keypoint_outside_of_the_crop_breaks_it(place: tuple[float, float]) -> None:
    points = standing((128, 128), 200)
    points[9, :2] = place
    clicked(points[None])
