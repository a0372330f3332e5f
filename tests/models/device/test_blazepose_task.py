from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.device.blazepose_task import BlazePoseOnDevice
from models.device.image import DeviceImage
from models.segment.blazepose import BlazePose
from models.segment.blazepose_task import BlazePoseSegmenter
from models.tasks import Float, Image, Window
from tests.models.device.running import EXACT, OnDevice, Waits, street
from tests.models.segment.people import boxes_of, standing
from tests.models.segment.test_blazepose_task import NOBODY, White, crowd, the


def on_device() -> tuple[BlazePoseOnDevice, OnDevice]:
    runner = OnDevice(White(), on_arrays=True)
    return BlazePoseOnDevice(runner), runner


def same(ours: Sequence[Window | None], theirs: Sequence[Window | None], share: float = 1e-3) -> None:
    """Pixels of a mask's border may differ, and its score by what they weigh."""
    for window, expected in zip(ours, theirs, strict=True):
        assert (window is None) == (expected is None)
        if window is None or expected is None:
            continue
        assert window.origin == expected.origin
        assert window.bitmap.shape == expected.bitmap.shape and window.bitmap.dtype == np.bool_
        assert (window.bitmap != expected.bitmap).mean() <= share
        assert window.score == pytest.approx(expected.score, abs=2e-3 if EXACT else 5e-3)


def test_an_empty_street_is_given_to_the_network() -> None:
    segmenter, runner = on_device()
    assert segmenter([], [], []) == []
    boxes, keypoints = NOBODY
    assert segmenter([street(48, 64)] * 2, [boxes] * 2, [keypoints] * 2) == [[], []]
    assert runner.batches == []


def test_sixty_people_do_not_fit_into_the_batch() -> None:
    segmenter, runner = on_device()
    people = crowd(60)
    (windows,) = segmenter([np.full((480, 640, 3), 255, np.uint8)], [boxes_of(people)], [people])
    assert runner.batches == [32, 28]
    assert all(the(window).bitmap.all() for window in windows)


def test_people_get_another_mask_than_on_the_processor() -> None:
    """Images of several sizes, one without people; every second person of the others is white."""
    images: list[Image] = []
    everyone: list[Float] = []
    for number, (height, width) in enumerate([(480, 640), (100, 90), (960, 1280), (480, 640)]):
        people = crowd(20 if number % 2 == 0 else 0, height, width)
        image = np.zeros((height, width, 3), np.uint8)
        for person in people[::2]:
            x, y = person[11:13, :2].mean(0).astype(int)
            image[y - 3 : y + 4, x - 3 : x + 4] = 255
        images.append(image)
        everyone.append(people)
    boxes = [boxes_of(people) for people in everyone]
    ours = on_device()[0](images, boxes, everyone)
    for of_image, expected in zip(ours, BlazePoseSegmenter(White())(images, boxes, everyone), strict=True):
        same(of_image, expected)
    assert [[the(window).bitmap.any() for window in windows] for windows in ours[::2]] == [[True, False] * 10] * 2


def test_a_person_outside_of_the_image_takes_the_others_masks_along() -> None:
    people = np.array([standing((-500, 50), 100), standing((320, 240), 100), standing((320, 5000), 100)])
    boxes = boxes_of(people)
    boxes = np.concatenate([boxes, np.array([[50, 50, 50, 50], [90, 90, 80, 80], [np.nan] * 4], np.float32)])
    people = np.concatenate([people, np.zeros((3, 17, 3), np.float32)])
    (windows,) = on_device()[0]([np.full((480, 640, 3), 255, np.uint8)], [boxes], [people])
    assert [window is not None for window in windows] == [False, True, False, False, False, False]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (720, 300), (1, 900), (700, 3)])
def test_an_image_of_an_unusual_size_gets_another_mask(height: int, width: int) -> None:
    people = np.array([standing((x * width, y * height), height) for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    image = np.asarray(street(height, width))
    arguments = [image], [boxes_of(people)], [people]
    same(on_device()[0](*arguments)[0], BlazePoseSegmenter(White())(*arguments)[0], 0.01)


def test_a_ragged_mask_loses_its_last_columns(caplog: pytest.LogCaptureFixture) -> None:
    people = standing((64, 64), 100)[None]
    image = np.zeros((128, 128, 3), np.uint8)
    image[::4] = image[1::4] = 255
    arguments = [image], [boxes_of(people)], [people]
    with caplog.at_level(logging.DEBUG, "models.device"):
        (ours,) = on_device()[0](*arguments)
    same(ours, BlazePoseSegmenter(White())(*arguments)[0])
    assert "copied again" in caplog.text


def test_lists_of_different_lengths_are_cut_to_the_shortest() -> None:
    with pytest.raises(ValueError, match="zip"):
        on_device()[0]([street(48, 64)] * 2, [NOBODY[0]], [NOBODY[1]])


def test_a_real_network_makes_other_masks_than_on_the_processor() -> None:
    torch.manual_seed(0)
    runner = OnDevice(FromPixels(BlazePose().eval(), BlazePose.pixels))
    images: list[Image | DeviceImage] = [street(480, 640), np.asarray(street(200, 300, 1))]
    everyone = [crowd(3), crowd(2, 200, 300)]
    boxes = [boxes_of(people) for people in everyone]
    ours = BlazePoseOnDevice(runner)(images, boxes, everyone)
    theirs = BlazePoseSegmenter(runner)([np.asarray(image) for image in images], boxes, everyone)
    for of_image, expected in zip(ours, theirs, strict=True):
        same(of_image, expected, 0.01)


def test_the_host_waits_before_the_end() -> None:
    segmenter = BlazePoseOnDevice(OnDevice(lambda pixels: pixels[:, None, :, :, 1].float() - 127))
    people = np.concatenate([crowd(3), standing((-500, 50), 100)[None]])
    with Waits() as waits:
        segmenter([street(480, 640)] * 2, [boxes_of(people)] * 2, [people] * 2)
    assert waits.noted == []
