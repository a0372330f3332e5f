"""Masks of polygons and edges: they follow the person, and no pose, box or picture breaks them."""

from __future__ import annotations

import numpy as np
import pytest

from models.build import Builder, Execution
from models.segment.contour import ContourSegmenter, draw, nearest_edges
from models.tasks import Bool, Float, Image, Window
from models.zoo import load_zoo
from tests.models.segment.people import boxes_of, standing

SEGMENT = ContourSegmenter()
NOBODY = (np.zeros((0, 4), np.float32), np.zeros((0, 17, 3), np.float32))


def noise(height: int = 240, width: int = 320) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def the(window: Window | None) -> Window:
    assert window is not None
    return window


def in_image(window: Window, height: int, width: int) -> Bool:
    mask = np.zeros((height, width), np.bool_)
    (x, y), (h, w) = window.origin, window.bitmap.shape
    mask[y : y + h, x : x + w] = window.bitmap
    return mask


def look(image: Image, keypoints: Float, boxes: Float | None = None) -> list[Window | None]:
    return SEGMENT([image], [boxes_of(keypoints) if boxes is None else boxes], [keypoints])[0]


def test_the_nearest_edge_is_not_the_nearest() -> None:
    random = np.random.default_rng(0)
    rows, columns = random.random((50, 40)) < 0.1, random.integers(0, 40, 50)
    before, behind = nearest_edges(rows, columns)
    for row, column, left, right in zip(rows, columns, before, behind, strict=True):
        edges = np.flatnonzero(row)
        assert left == max((edge for edge in edges if edge <= column), default=column)
        assert right == min((edge for edge in edges if edge >= column), default=column)


def test_a_row_without_edges_breaks_it() -> None:
    windows = look(np.full((240, 320, 3), 90, np.uint8), standing((160, 120), 200)[None])
    assert the(windows[0]).bitmap.any()


@pytest.mark.parametrize("back", [False, True])
def test_the_outline_is_not_widened_to_the_edges_of_the_limbs(back: bool) -> None:
    """Two bars, the legs, 20 pixels wide: the polygon through joints alone would fill next to nothing of them."""
    points = standing((160, 100), 180)[:, :2]
    if back:
        points[:, 0] = 320 - points[:, 0]
    outline = np.zeros((240, 320), np.bool_)
    for x in points[[15, 16], 0].round().astype(int):
        outline[:, [x - 9, x + 9]] = True
    mask = draw(outline, points.astype(np.float64))
    assert mask is not None
    knees, ankles = int(points[13, 1]), int(points[15, 1])
    lower = mask[knees + 5 : ankles - 5]
    expected = np.zeros_like(lower)
    for x in points[[15, 16], 0].round().astype(int):
        expected[:, x - 9 : x + 10] = 1
    assert (lower == expected).mean() > 0.99
    thighs = mask[int(points[11, 1]) + 5 : knees - 5]
    assert thighs.sum(1).min() > 20, "left and right cross on the thighs"


def test_the_head_is_left_out() -> None:
    points = standing((160, 120), 200)
    mask = draw(np.zeros((240, 320), np.bool_), points[:, :2].astype(np.float64))
    assert mask is not None
    x, y = points[[3, 4], :2].mean(0).round().astype(int)
    assert mask[y, x] and mask[y - 10, x] and not mask[y - 30, x]


def test_a_mask_leaves_its_box() -> None:
    points = standing((160, 120), 200)
    box = np.array([[150.4, 60.2, 170.3, 200.9]], np.float32)
    window = the(look(noise(), points[None], box)[0])
    assert window.origin == (150, 60) and window.bitmap.shape == (141, 21)


def test_a_tall_person_gets_a_mask_of_another_size() -> None:
    points = standing((500, 500), 900)
    window = the(look(noise(1000, 1000), points[None])[0])
    inside = in_image(window, 1000, 1000)
    assert inside[450:550, 480:520].mean() > 0.5


def test_nobody_is_a_problem() -> None:
    assert SEGMENT([], [], []) == []
    assert SEGMENT([noise()], [NOBODY[0]], [NOBODY[1]]) == [[]]


def test_sixty_people_do_not_each_get_a_mask() -> None:
    people = np.array([standing((20 + 30 * (i % 10), 20 + 38 * (i // 10)), 34) for i in range(60)])
    windows = look(noise(), people)
    assert len(windows) == 60 and all(window is not None for window in windows)


def test_a_box_outside_of_the_image_breaks_the_others() -> None:
    people = np.array([standing((-500, 100), 80), standing((160, 120), 200)])
    first, second = look(noise(), people)
    assert first is None and second is not None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda points: points * [100, 100, 1] - [9000, 9000, 0],
        lambda points: np.full_like(points, 0.5),
        lambda points: points * np.where(np.arange(17) % 2, 1, np.nan)[:, None],
        lambda points: points * [1e30, -1e30, 1],
        lambda points: points * [np.inf, 1, 1],
    ],
)
def test_joints_outside_of_the_crop_break_it(spoil: object) -> None:
    points = spoil(standing((160, 120), 200)).astype(np.float32)  # type: ignore[operator]
    window = look(noise(), points[None], np.array([[100, 20, 220, 230]], np.float32))[0]
    assert window is None or window.bitmap.shape == (210, 120)


@pytest.mark.parametrize("box", [(10, 10, 11, 11), (0, 0, 320, 1), (319, 0, 320, 240), (np.nan, 0, 10, 10)])
def test_a_crop_of_a_single_row_or_column_breaks_it(box: tuple[float, ...]) -> None:
    look(noise(), standing((160, 120), 200)[None], np.array([box], np.float32))


def test_a_person_without_estimated_keypoints_gets_a_mask() -> None:
    points = standing((160, 120), 200)
    points[:, 2] = 0
    assert look(noise(), points[None], np.array([[100, 20, 220, 230]], np.float32)) == [None]


def test_it_asks_for_weights_or_a_backend() -> None:
    builder = Builder(load_zoo())
    assert isinstance(builder.masks("contour", Execution(backend="torch")), ContourSegmenter)
    assert builder.choices == {}
