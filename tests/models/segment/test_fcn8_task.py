"""Masks with an FCN-8: the class "person" of one look at each image, cut to everybody's box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends import Input
from models.segment.fcn8 import FCN8
from models.segment.fcn8_task import FCN8Segmenter, PersonLogit, fcn8_segmenter
from models.tasks import Float, Image, Window
from tests.models.compiling import EagerCompile, weights_of
from tests.oracles.filled import fill

SIZE = (128, 256)


class White:
    """A network to which whatever is brighter than grey is a person."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (*SIZE, 3)
        self.frames.append(len(pixels))
        return ((pixels[:, None, :, :, 1].astype(np.float32) - np.float32(127.5)) / np.float32(10),)


def masks(image: Image, *boxes: tuple[float, float, float, float]) -> list[Window | None]:
    (found,) = FCN8Segmenter(White(), SIZE)(
        [image], [np.array(boxes, np.float32)], [np.zeros((len(boxes), 17, 3), np.float32)]
    )
    return found


def the(window: Window | None) -> Window:
    assert window is not None
    return window


def test_an_empty_street_is_given_to_the_network() -> None:
    network = White()
    segmenter = FCN8Segmenter(network, SIZE)
    assert segmenter([], [], []) == []
    nobody, black = np.zeros((0, 4), np.float32), np.zeros((48, 64, 3), np.uint8)
    assert segmenter([black, black], [nobody] * 2, [np.zeros((0, 17, 3), np.float32)] * 2) == [[], []]
    assert network.frames == []


def test_sixty_people_of_one_image_are_looked_at_one_by_one() -> None:
    network = White()
    images = [np.full((480, 640, 3), grey, np.uint8) for grey in (0, 0, 255)]
    box = np.array([[10, 20, 50, 90]], np.float32)
    boxes = [np.repeat(box, 60, 0), box[:0], np.repeat(box, 60, 0)]
    found = FCN8Segmenter(network, SIZE)(images, boxes, [np.zeros((len(of), 17, 3), np.float32) for of in boxes])
    assert network.frames == [2]
    assert [len(windows) for windows in found] == [60, 0, 60]
    assert not any(the(window).bitmap.any() for window in found[0])
    assert all(the(window).bitmap.all() for window in found[2])


@pytest.mark.parametrize(("height", "width"), [(480, 640), (100, 90), (1080, 1920), (64, 900)])
def test_a_mask_lies_beside_what_it_shows(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    top, bottom, left, right = height // 4, height // 2, width // 8, width // 2
    image[top:bottom, left:right] = 255
    truth = image[..., 0] > 0
    (window,) = masks(image, (1, 2, width - 3, height - 5))
    assert the(window).origin == (1, 2)
    assert the(window).bitmap.shape == (height - 7, width - 4)
    pixel = max(height / SIZE[0], width / SIZE[1], 1)  # of the network's input, in the image
    perimeter = 2 * (bottom - top + right - left)
    assert (the(window).bitmap != truth[2:-5, 1:-3]).sum() <= 0.6 * pixel * perimeter
    rows, columns = (np.flatnonzero(the(window).bitmap.any(axis)) for axis in (1, 0))
    assert abs(rows.mean() + 2 - (top + bottom - 1) / 2) <= pixel / 2
    assert abs(columns.mean() + 1 - (left + right - 1) / 2) <= pixel / 2


def test_people_whose_boxes_overlap_are_told_apart() -> None:
    """They are not, and the documentation says so: each mask has all that is a person in the box."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[100:300, 100:300] = 255
    one, other = masks(image, (100, 100, 250, 300), (150, 100, 300, 300))
    assert the(one).bitmap[:, 60:].mean() > 0.98
    assert the(other).bitmap[:, :90].mean() > 0.98


def test_a_box_outside_of_the_image_takes_the_others_masks_along() -> None:
    nan = float("nan")
    found = masks(
        np.full((480, 640, 3), 255, np.uint8),
        (-500, 10, -400, 90), (10, 10, 60, 90), (50, 50, 50, 50), (90, 90, 80, 80), (nan, nan, nan, nan),
        (600, 400, 9000, 9000),
    )  # fmt: skip
    assert [window is not None for window in found] == [False, True, False, False, False, True]
    assert the(found[5]).bitmap.shape == (80, 40)


def test_an_unsure_mask_scores_as_high_as_a_sure_one() -> None:
    scores = [the(masks(np.full((480, 640, 3), grey, np.uint8), (9, 9, 99, 99))[0]).score for grey in (0, 130, 255)]
    assert scores[0] == 0
    assert scores[1] == pytest.approx(1 / (1 + np.exp(-0.25)), abs=1e-4)
    assert scores[2] == pytest.approx(1, abs=1e-4)


def test_another_class_than_the_person_is_cut_out() -> None:
    network = fill(FCN8(4, "same", (4, 4, 4, 4, 4), 8))
    images = torch.rand(2, 3, 64, 96)
    with torch.inference_mode():
        person = PersonLogit(network, 2)(images)
        probability = network(images).softmax(1)[:, 2:3]
    torch.testing.assert_close(person.sigmoid(), probability)


def test_the_compiled_network_gives_every_class_back(monkeypatch: pytest.MonkeyPatch) -> None:
    network = fill(FCN8(6, "same", (4, 4, 4, 4, 4), 8))
    monkeypatch.setattr("models.segment.fcn8_task.load_fcn8", lambda weights: network)
    compiled = EagerCompile()
    segmenter = fcn8_segmenter(weights_of("fcn8-cityscapes"), compiled)
    assert compiled.inputs[""] == (Input.pixels(256, 512),)
    (logits,) = segmenter.run(np.zeros((2, 256, 512, 3), np.uint8))
    assert logits.shape == (2, 1, 256, 512)
    boxes = np.array([[10, 10, 60, 90]], np.float32)
    ((window,),) = segmenter([np.zeros((100, 200, 3), np.uint8)], [boxes], [np.zeros((1, 17, 3), np.float32)])
    assert the(window).bitmap.shape == (80, 50)
