"""From images, boxes and keypoints to windows: nobody gets another's mask, and nothing breaks the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.segment.blazepose import BlazePose
from models.segment.blazepose_task import BlazePoseSegmenter
from models.tasks import Float, Image, Window
from tests.models.segment.people import boxes_of, standing

NOBODY = (np.zeros((0, 4), np.float32), np.zeros((0, 17, 3), np.float32))


class White:
    """A network to which whatever is brighter than grey is the person."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (256, 256, 3)
        self.batches.append(len(pixels))
        logits: Float = (pixels[:, None, :, :, 1].astype(np.float32) - np.float32(127.5)) / np.float32(10)
        return (logits,)


def crowd(count: int, height: int = 480, width: int = 640) -> Float:
    """Keypoints of people side by side and in rows."""
    places = [((i % 10 + 0.5) * width / 10, (i // 10 + 0.5) * height / 6) for i in range(count)]
    return np.array([standing(place, height / 10) for place in places], np.float32).reshape(-1, 17, 3)


def the(window: Window | None) -> Window:
    assert window is not None
    return window


def test_an_empty_street_is_given_to_the_network() -> None:
    network = White()
    segmenter = BlazePoseSegmenter(network)
    assert segmenter([], [], []) == []
    black = np.zeros((48, 64, 3), np.uint8)
    boxes, keypoints = NOBODY
    assert segmenter([black, black], [boxes] * 2, [keypoints] * 2) == [[], []]
    assert network.batches == []


def test_sixty_people_do_not_fit_into_the_batch() -> None:
    network = White()
    people = crowd(60)
    (windows,) = BlazePoseSegmenter(network, max_batch=32)(
        [np.full((480, 640, 3), 255, np.uint8)], [boxes_of(people)], [people]
    )
    assert network.batches == [32, 28]
    assert all(the(window).bitmap.all() for window in windows)


def test_people_get_the_mask_of_somebody_else() -> None:
    """Every second person of every second image is white; images without people and of other sizes in between."""
    images, everyone = [], []
    for number, (height, width) in enumerate([(480, 640), (100, 90), (960, 1280), (480, 640)]):
        people = crowd(20 if number % 2 == 0 else 0, height, width)
        image = np.zeros((height, width, 3), np.uint8)
        for person in people[::2]:
            x, y = person[11:13, :2].mean(0).astype(int)
            image[y - 3 : y + 4, x - 3 : x + 4] = 255
        images.append(image)
        everyone.append(people)
    found = BlazePoseSegmenter(White(), max_batch=7)(images, [boxes_of(people) for people in everyone], everyone)
    assert [len(windows) for windows in found] == [20, 0, 20, 0]
    for windows, people in zip(found, everyone, strict=True):
        for i, (window, person) in enumerate(zip(windows, people, strict=True)):
            x, y = person[11:13, :2].mean(0).astype(int) - the(window).origin
            assert the(window).bitmap[y, x] == (i % 2 == 0)
            assert 0.7 * 49 <= the(window).bitmap.sum() <= 1.3 * 49 if i % 2 == 0 else not the(window).bitmap.any()


def test_a_person_outside_of_the_image_takes_the_others_masks_along() -> None:
    people = np.array([standing((-500, 50), 100), standing((320, 240), 100), standing((320, 5000), 100)])
    boxes = boxes_of(people)
    boxes = np.concatenate([boxes, np.array([[50, 50, 50, 50], [90, 90, 80, 80], [np.nan] * 4], np.float32)])
    people = np.concatenate([people, np.zeros((3, 17, 3), np.float32)])
    (windows,) = BlazePoseSegmenter(White())([np.full((480, 640, 3), 255, np.uint8)], [boxes], [people])
    assert [window is not None for window in windows] == [False, True, False, False, False, False]


@pytest.mark.parametrize("scored", [True, False])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (2160, 3840), (1, 900), (700, 3)])
def test_an_image_of_an_unusual_size_puts_a_mask_beside_it(height: int, width: int, scored: bool) -> None:
    people = np.array([standing((x * width, y * height), height) for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    boxes = boxes_of(people)
    people[..., 2] *= scored
    (windows,) = BlazePoseSegmenter(White())([np.full((height, width, 3), 255, np.uint8)], [boxes], [people])
    for window, (x1, y1, x2, y2) in zip(windows, boxes, strict=True):
        (x, y), (h, w) = the(window).origin, the(window).bitmap.shape
        assert the(window).bitmap.dtype == np.bool_
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
        assert x >= np.floor(x1) and y >= np.floor(y1) and x + w <= np.ceil(x2) and y + h <= np.ceil(y2)


def test_an_unsure_mask_scores_as_high_as_a_sure_one() -> None:
    people = standing((320, 240), 200)[None]
    scores = []
    for grey in (0, 130, 255):
        image = np.full((480, 640, 3), grey, np.uint8)
        ((window,),) = BlazePoseSegmenter(White())([image], [boxes_of(people)], [people])
        scores.append(the(window).score)
    assert scores[0] == 0
    assert scores[1] == pytest.approx(1 / (1 + np.exp(-0.25)), abs=1e-4)
    assert scores[2] == pytest.approx(1, abs=1e-4)


def test_an_extreme_logit_overflows_the_score() -> None:
    people = standing((320, 240), 200)[None]
    half = np.full((1, 1, 256, 256), -1e4, np.float32)
    half[..., 100:156] = 1e4
    image = np.zeros((480, 640, 3), np.uint8)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        ((window,),) = BlazePoseSegmenter(lambda _: (half,))([image], [boxes_of(people)], [people])
    assert the(window).score == pytest.approx(1)


def test_lists_of_different_lengths_are_cut_to_the_shortest() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="zip"):
        BlazePoseSegmenter(White())([image, image], [NOBODY[0]], [NOBODY[1]])


def test_the_real_network_does_not_fit_its_segmenter() -> None:
    deployed = FromPixels(BlazePose().eval(), BlazePose.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in deployed(torch.from_numpy(pixels)))

    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    people = crowd(3)
    (windows,) = BlazePoseSegmenter(run)([image], [boxes_of(people)], [people])
    for window, (x1, y1, x2, y2) in zip(windows, boxes_of(people), strict=True):
        left, top = max(int(np.floor(x1)), 0), max(int(np.floor(y1)), 0)
        assert the(window).origin == (left, top)
        assert the(window).bitmap.shape == (int(np.ceil(y2)) - top, int(np.ceil(x2)) - left)
        assert 0 <= the(window).score <= 1
