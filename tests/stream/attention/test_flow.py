"""Keypoints between two looks: they must go where the picture goes, and never astray."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from stream.attention.flow import ASTRAY, Flow
from stream.types import Float, Image, People

SIZE = (240, 320)
LEFT_WRIST = 9


def texture(seed: int, height: int, width: int) -> Image:
    noise = np.random.default_rng(seed).integers(40, 220, (height, width, 3)).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def picture(walked: float = 0, swung: float = 0, size: tuple[int, int] = SIZE) -> Image:
    """Somebody 160 pixels high before a wall, who has walked so far, and whose left arm has swung so much further."""
    image = texture(1, *SIZE)
    x = round(100 + walked)
    image[50:210, x : x + 60] = texture(2, 160, 60)
    arm = round(x + 10 + swung)
    image[100:140, arm : arm + 30] = texture(3, 40, 30)
    return np.asarray(cv2.resize(image, size[::-1]), np.uint8)


def person(walked: float = 0, swung: float = 0, *, looked: bool = True, speed: float = 0, id_: int = 1) -> People:
    """Keypoints in a column of the body, the left wrist in the middle of the arm."""
    points = np.full((1, 17, 3), 0.9, np.float32)
    points[0, :, 0], points[0, :, 1] = 150 + walked, np.linspace(60, 200, 17)
    points[0, LEFT_WRIST, :2] = 125 + walked + swung, 120
    box = np.array([[100 + walked, 50, 160 + walked, 210]], np.float32)
    made = People.untracked(box, np.ones(1, np.float32), points, frame_size=SIZE)
    velocity = np.array([[speed, 0]], np.float32)
    return replace(made, ids=np.array([id_], np.int64), predicted=np.array([not looked]), velocity=velocity)


def error(people: People, truth: People) -> Float:
    """Pixels by which each keypoint is off, [17]."""
    return np.asarray(np.linalg.norm((people.keypoints - truth.keypoints)[0, :, :2], axis=1), np.float32)


@pytest.mark.parametrize(("walked", "swung"), [(0, 0), (4, 0), (4, 8), (-3, -6)])
def test_a_limb_moves_as_its_person_does(walked: float, swung: float) -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    expected = person(walked, looked=False, speed=walked * 10)
    carried = flow.carry(picture(walked, swung), expected, 0.1)
    off = error(carried, person(walked, swung))
    assert off[LEFT_WRIST] < 0.6 and off.max() < 2.5, "those at the rim of the arm see a little of it"
    assert carried.predicted.all()


def test_somebody_is_followed_for_one_frame_alone() -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    for step in range(1, 5):
        carried = flow.carry(picture(3 * step, 2 * step), person(looked=False, speed=30), step / 10)
        off = error(carried, person(3 * step, 2 * step))
        assert off[LEFT_WRIST] < 1 and off.max() < 2.5


def test_whoever_was_looked_at_is_moved() -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    seen = person(20)
    assert flow.carry(picture(4), seen, 0.1) is seen


def test_a_keypoint_goes_astray_where_the_picture_changes() -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    expected = person(4, looked=False, speed=40)
    carried = flow.carry(texture(7, *SIZE), expected, 0.1)
    assert error(carried, person(4)).max() <= ASTRAY * 160 + 0.01
    flat = Flow()
    flat.carry(np.full((*SIZE, 3), 90, np.uint8), person(), 0.0)
    nothing = flat.carry(np.full((*SIZE, 3), 90, np.uint8), expected, 0.1)
    assert error(nothing, person(4)).max() < 0.01, "where nothing is to be seen a keypoint goes with its person"


def test_a_stranger_or_somebody_hidden_is_followed() -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    stranger = person(looked=False, id_=2)
    assert flow.carry(picture(4), stranger, 0.1) is stranger
    hidden = replace(stranger, keypoints=np.zeros((1, 17, 3), np.float32))
    assert flow.carry(picture(8), hidden, 0.2) is hidden


def test_a_picture_of_another_size_is_compared() -> None:
    flow = Flow()
    flow.carry(picture(), person(), 0.0)
    expected = person(looked=False)
    assert flow.carry(picture(size=(100, 100)), expected, 0.1) is expected


def test_a_large_picture_is_followed_in_other_units() -> None:
    def enlarged(people: People) -> People:
        keypoints = people.keypoints * np.array([4, 4, 1], np.float32)
        return replace(people, boxes=people.boxes * 4, keypoints=keypoints, velocity=people.velocity * 4)

    flow, size = Flow(), (960, 1280)
    flow.carry(picture(size=size), enlarged(person()), 0.0)
    carried = flow.carry(picture(4, 6, size=size), enlarged(person(4, looked=False, speed=40)), 0.1)
    assert error(carried, enlarged(person(4, 6))).max() < 3
