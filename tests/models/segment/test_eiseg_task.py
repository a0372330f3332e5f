"""From images, boxes and keypoints to windows: nobody gets another's mask, and nothing breaks the batch."""

from __future__ import annotations

import numpy as np
import pytest

from models.segment.eiseg_task import EISegSegmenter, eiseg_segmenter
from models.tasks import Float, Image, Window
from tests.models.compiling import EagerCompile, weights_of
from tests.models.segment.people import boxes_of, standing
from tests.oracles.onnxruntime_chain import Chain
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained, real_frames


class White:
    """A network to which whatever is brighter than grey is the person."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: Image, clicks: Float) -> tuple[Float, ...]:
        assert pixels.shape == (len(pixels), 256, 256, 3) and clicks.shape == (len(pixels), 2, 256, 256)
        assert pixels.dtype == np.uint8 and clicks.dtype == np.float32 and clicks.any((2, 3)).all()
        self.batches.append(len(pixels))
        return ((pixels[:, None, :, :, 1].astype(np.float32) - np.float32(127.5)) / np.float32(10),)


def the(window: Window | None) -> Window:
    assert window is not None
    return window


@pytest.mark.parametrize(("height", "width"), [(60, 80), (240, 320), (1200, 1600)])
def test_a_mask_lands_elsewhere_in_an_image_of_another_size(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    truth = image[height // 4 : height * 3 // 4, width // 3 : width // 2]
    truth[:] = 255
    person = standing((width * 5 / 12, height / 2), height * 0.6)[None]
    window = the(EISegSegmenter(White())([image], [boxes_of(person)], [person])[0][0])
    (x, y), (h, w) = window.origin, window.bitmap.shape
    expected = image[y : y + h, x : x + w, 0] > 127
    assert (window.bitmap & expected).sum() / (window.bitmap | expected).sum() > 0.9
    assert window.score > 0.9


def test_a_mask_ends_elsewhere_than_five_percent_beyond_its_box() -> None:
    image = np.full((200, 300, 3), 255, np.uint8)
    person = standing((150, 100), 120)[None]
    window = the(EISegSegmenter(White())([image], [np.array([[100, 40, 200, 160]], np.float32)], [person])[0][0])
    assert window.origin == (95, 34) and window.bitmap.shape == (132, 110)
    assert window.bitmap.all()


def test_people_of_several_images_do_not_share_a_batch_or_it_is_unbounded() -> None:
    run = White()
    people = np.array([standing((20 + 28 * (i % 10), 30 + 25 * (i // 10)), 30) for i in range(60)])
    image = np.full((200, 300, 3), 200, np.uint8)
    found = EISegSegmenter(run, max_batch=16)(
        [image, image], [boxes_of(people), boxes_of(people[:3])], [people, people[:3]]
    )
    assert run.batches == [16, 16, 16, 15]
    assert [len(of_image) for of_image in found] == [60, 3]
    assert all(window is not None for of_image in found for window in of_image)


def test_nobody_is_a_problem() -> None:
    run = White()
    none = np.zeros((0, 4), np.float32), np.zeros((0, 17, 3), np.float32)
    assert EISegSegmenter(run)([np.zeros((9, 9, 3), np.uint8)], [none[0]], [none[1]]) == [[]]
    assert EISegSegmenter(run)([], [], []) == []
    assert run.batches == []


@pytest.mark.parametrize(
    "box", [(-90, 10, -20, 90), (50, 50, 50, 90), (np.nan, 0, 40, 40), (60, 20, 40, 90), (0, 0, np.inf, 9)]
)
def test_a_box_outside_of_the_image_breaks_the_others(box: tuple[float, ...]) -> None:
    people = np.array([standing((50, 50), 40), standing((150, 100), 120)])
    boxes = np.array([box, (100, 40, 200, 160)], np.float32)
    (windows,) = EISegSegmenter(White())([np.full((200, 300, 3), 255, np.uint8)], [boxes], [people])
    assert windows[0] is None and windows[1] is not None


def test_random_weights_do_not_run() -> None:
    segment = eiseg_segmenter(weights_of("eiseg-hrnet18"), EagerCompile())
    person = standing((50, 50), 80)[None]
    the(segment([np.zeros((100, 100, 3), np.uint8)], [boxes_of(person)], [person])[0][0])


@pytest.mark.weights
def test_real_people_are_not_cut_out() -> None:
    frame = real_frames()[0]
    boxes, _, keypoints = Chain(pretrained(YOLOX), pretrained(RTMPOSE))(frame, score=0.5)
    segment = eiseg_segmenter(weights_of("eiseg-hrnet18", pretrained("eiseg-hrnet18")), EagerCompile())
    for window, points in zip(segment([frame], [boxes], [keypoints])[0], keypoints, strict=True):
        (x, y), (h, w) = the(window).origin, the(window).bitmap.shape
        hips = (points[[5, 6, 11, 12], :2].mean(0) - (x, y)).round().astype(int)
        assert the(window).bitmap[hips[1], hips[0]]
        assert 0.15 < the(window).bitmap.mean() < 0.9
        assert (h, w) == the(window).bitmap.shape and the(window).score > 0.5
