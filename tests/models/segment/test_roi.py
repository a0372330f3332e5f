"""Where the network looks, and whether what it sees comes back to where it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.segment import roi
from models.tasks import Bool, Float, Image
from tests.models.segment.people import boxes_of, standing

SIZE = 256


def crop_of(image: Image, region: roi.Double) -> Image:
    out = np.empty((SIZE, SIZE, 3), np.uint8)
    roi.cut(image, region, out)
    return out


def in_image(region: roi.Double, x: float, y: float) -> roi.Double:
    return region @ (x, y, 1)


def ellipse(keypoints: Float, height: int, width: int) -> Image:
    """A white ellipse as large as the person, around the middle of the keypoints and along the body."""
    axis = keypoints[15:17, :2].mean(0) - keypoints[0, :2]
    length = float(np.hypot(*axis))
    x, y = (keypoints[15:17, :2].mean(0) + keypoints[0, :2]) / 2
    angle = float(np.degrees(np.arctan2(axis[1], axis[0])))
    image = np.zeros((height, width, 3), np.uint8)
    cv2.ellipse(image, ((x, y), (length, length / 3), angle), (255, 255, 255), -1)
    return image


def there_and_back(image: Image, keypoints: Float) -> tuple[Bool, Bool]:
    """What is white in the person's box, and the same after a perfect network has seen its crop."""
    boxes = boxes_of(keypoints[None], margin=0.2)
    (region,) = roi.regions(boxes, keypoints[None], SIZE)
    left, top, right, bottom = roi.windows(boxes, image.shape[1], image.shape[0])[0].tolist()
    logits = crop_of(image, region)[..., 0].astype(np.float32) - 127.5
    return image[top:bottom, left:right, 0] > 127, roi.paste(logits, region, (left, top, right, bottom))


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -135])
@pytest.mark.parametrize("height", [60, 200, 900])
def test_a_mask_comes_back_in_another_place(degrees: float, height: float) -> None:
    person = standing((1000, 1000), height, degrees)
    before, after = there_and_back(ellipse(person, 2000, 2000), person)
    assert before.any() and before.shape == after.shape
    assert (before & after).sum() / (before | after).sum() > 0.97


@pytest.mark.parametrize("middle", [(0, 240), (640, 240), (320, 0), (320, 480), (0, 0), (640, 480)])
def test_a_mask_at_the_border_is_displaced(middle: tuple[float, float]) -> None:
    person = standing(middle, 200)
    before, after = there_and_back(ellipse(person, 480, 640), person)
    assert before.any() and before.shape == after.shape
    assert (before & after).sum() / (before | after).sum() > 0.97


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_person_upside_down_is_not_turned_upright(degrees: float) -> None:
    person = standing((320, 240), 150, degrees)
    (region,) = roi.regions(boxes_of(person[None]), person[None], SIZE)
    hips, head = person[11:13, :2].mean(0), person[0, :2]
    np.testing.assert_allclose(in_image(region, 127.5, 127.5), hips, atol=1e-3)
    above = in_image(region, 127.5, 40) - hips
    assert above @ (head - hips) > 0.999 * np.hypot(*above) * np.hypot(*(head - hips))


def test_the_region_is_not_two_and_a_half_radii_wide() -> None:
    person = standing((320, 240), 150)
    radius = np.hypot(*(person[:, :2] - person[11:13, :2].mean(0)).T).max()
    (region,) = roi.regions(boxes_of(person[None]), person[None], SIZE)
    edge = in_image(region, 256, 0) - in_image(region, 0, 0)
    assert np.hypot(*edge) == pytest.approx(2.5 * radius, rel=1e-4)


def test_a_low_score_moves_the_region() -> None:
    sure = standing((320, 240), 150)[None]
    unsure = sure.copy()
    unsure[0, 9:, 2] = 0.01
    np.testing.assert_array_equal(roi.regions(boxes_of(sure), sure, SIZE), roi.regions(boxes_of(sure), unsure, SIZE))


def test_one_hidden_hip_or_shoulder_loses_the_pose() -> None:
    person = standing((320, 240), 150)[None]
    person[0, (11, 6), 2] = 0
    person[0, (11, 6), :2] = 0
    (region,) = roi.regions(boxes_of(person), person, SIZE)
    np.testing.assert_allclose(in_image(region, 127.5, 127.5), person[0, 12, :2], atol=1e-3)


@pytest.mark.parametrize("hidden", [(5, 6), (11, 12), tuple(range(17))])
def test_a_person_without_hips_or_shoulders_gets_no_region(hidden: tuple[int, ...]) -> None:
    person = standing((320, 240), 150)[None]
    box = boxes_of(person)
    person[0, hidden, :] = 0
    (region,) = roi.regions(box, person, SIZE)
    np.testing.assert_allclose(in_image(region, 127.5, 127.5), (box[0, :2] + box[0, 2:]) / 2, atol=1e-3)
    longer = (box[0, 2:] - box[0, :2]).max()
    np.testing.assert_allclose(in_image(region, 0, 256) - in_image(region, 0, 0), (0, 1.5 * longer), atol=1e-3)


def test_keypoints_in_one_place_give_a_region_without_extent() -> None:
    person = np.ones((1, 17, 3), np.float32)
    box = np.array([[100, 100, 140, 200]], np.float32)
    (region,) = roi.regions(box, person, SIZE)
    np.testing.assert_allclose(in_image(region, 127.5, 127.5), (120, 150), atol=1e-3)


def test_numbers_that_are_none_reach_the_image() -> None:
    nowhere = np.full((1, 4), np.nan, np.float32)
    nobody = np.full((1, 17, 3), np.nan, np.float32)
    assert np.isnan(roi.regions(nowhere, nobody, SIZE)).any()
    assert roi.windows(nowhere, 640, 480).tolist() == [[0, 0, 0, 0]]


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 4),
    st.integers(1, 4000),
    st.integers(1, 4000),
)
def test_a_window_leaves_the_image(box: tuple[float, ...], width: int, height: int) -> None:
    ((left, top, right, bottom),) = roi.windows(np.array([box], np.float32), width, height)
    assert 0 <= left <= width and 0 <= right <= width
    assert 0 <= top <= height and 0 <= bottom <= height


def test_pixels_that_the_box_touches_are_not_in_its_window() -> None:
    boxes = np.array([[10.2, 20.9, 30.1, 40.0]], np.float32)
    assert roi.windows(boxes, 640, 480).tolist() == [[10, 20, 31, 40]]


@pytest.mark.parametrize("middle", [(-1e5, 50), (50, 1e5), (5e6, -5e6)])
@pytest.mark.parametrize("height", [2, 100, 1e5])
def test_a_region_outside_of_the_image_cannot_be_cut(middle: tuple[float, float], height: float) -> None:
    person = standing(middle, height)[None]
    (region,) = roi.regions(boxes_of(person), person, SIZE)
    assert crop_of(np.full((100, 100, 3), 7, np.uint8), region).tolist() == np.full((SIZE, SIZE, 3), 7).tolist()


def test_the_detour_over_four_channels_changes_the_crop(monkeypatch: pytest.MonkeyPatch) -> None:
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), (640, 480))
    person = standing((60, 240), 150, 20)[None]
    (region,) = roi.regions(boxes_of(person), person, SIZE)
    detour = crop_of(np.asarray(image, np.uint8), region)
    monkeypatch.setattr(roi, "_COPYING_PAYS", 0)
    np.testing.assert_array_equal(crop_of(np.asarray(image, np.uint8), region), detour)
