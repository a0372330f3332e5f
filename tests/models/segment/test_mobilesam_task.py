"""From images and boxes to windows by MobileSAM: nobody gets another's mask, and nothing breaks the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from models.segment.mobilesam_task import MobileSAMSegmenter, View, mobilesam_segmenter, windows
from models.tasks import Float, Image, Window
from tests.models.compiling import EagerCompile, weights_of

NOBODY = np.zeros((0, 4), np.float32)


class Bright:
    """A network to which whatever is brighter than grey is the person; its embedding is a picture of 4x4 per cell."""

    def __init__(self, overlap: float = 0.75) -> None:
        self.overlap = overlap
        self.seen: list[tuple[int, ...]] = []
        self.windows: list[tuple[int, ...]] = []

    def encode(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.dtype == np.uint8 and len(pixels) == 1
        self.seen.append(pixels.shape[1:3])
        height, width = pixels.shape[1] // 16, pixels.shape[2] // 16
        blocks = pixels[0, ..., 1].astype(np.float32).reshape(height, 4, 4, width, 4, 4).mean((2, 5))
        return (blocks.transpose(1, 3, 0, 2).reshape(1, 16, height, width) - 127.5,)

    def decode(self, *inputs: npt.NDArray[Any]) -> tuple[Float, ...]:
        cells, places, prompts = inputs
        assert len(cells) == len(places) == len(prompts) and cells.shape[2:] == places.shape[2:]
        self.windows.append(cells.shape)
        count, _, height, width = cells.shape
        logits = cells.reshape(count, 4, 4, height, width).transpose(0, 3, 1, 4, 2)
        return logits.reshape(count, 1, 4 * height, 4 * width), np.full((count, 1), self.overlap, np.float32)

    def segmenter(self, margin: int = 6, **options: int) -> MobileSAMSegmenter:
        return MobileSAMSegmenter(
            self.encode,
            self.decode,
            lambda boxes: np.zeros((len(boxes), 2, 256), np.float32),
            np.zeros((256, 64, 64), np.float32),
            margin,
            **options,
        )


def masks_of(segmenter: MobileSAMSegmenter, image: Image, boxes: Float) -> list[Window | None]:
    (found,) = segmenter([image], [boxes], [np.zeros((len(boxes), 17, 3), np.float32)])
    return found


def rectangles(count: int, height: int, width: int) -> Float:
    """Boxes side by side and in rows of ten."""
    x, y = np.arange(count) % 10 * width / 10, np.arange(count) // 10 * height / 6
    edges = [x + 0.2 * width / 10, y + 0.1 * height / 6, x + 0.8 * width / 10, y + 0.9 * height / 6]
    return np.stack(edges, 1).astype(np.float32).round()


def the(window: Window | None) -> Window:
    assert window is not None
    return window


def test_an_empty_street_is_given_to_the_networks() -> None:
    network = Bright()
    segmenter = network.segmenter()
    assert segmenter([], [], []) == []
    black = np.zeros((48, 64, 3), np.uint8)
    assert segmenter([black, black], [NOBODY] * 2, [NOBODY] * 2) == [[], []]
    assert network.seen == network.windows == []


def test_everybody_costs_a_pass_of_the_encoder_and_the_decoder() -> None:
    network = Bright()
    found = masks_of(network.segmenter(), np.full((480, 640, 3), 255, np.uint8), rectangles(60, 480, 640))
    assert len(found) == 60 and all(the(window).bitmap.all() for window in found)
    assert len(network.seen) == 1
    assert len(network.windows) < 20 and sum(shape[0] for shape in network.windows) == 60
    assert max(shape[0] for shape in network.windows) <= 16


def test_people_get_the_mask_of_somebody_else() -> None:
    """Every second person of every second image is white; images without people and of other sizes in between."""
    images, everyone = [], []
    for number, (height, width) in enumerate([(480, 640), (100, 90), (960, 1280), (480, 640)]):
        boxes = rectangles(20 if number % 2 == 0 else 0, height, width)
        image = np.zeros((height, width, 3), np.uint8)
        for left, top, right, bottom in boxes[::2].astype(int):
            image[top:bottom, left:right] = 255
        images.append(image)
        everyone.append(boxes)
    found = Bright().segmenter(max_batch=7)(images, everyone, everyone)
    assert [len(of_image) for of_image in found] == [20, 0, 20, 0]
    for of_image in found:
        for i, window in enumerate(of_image):
            assert (the(window).bitmap.mean() > 0.8) == (i % 2 == 0)
            assert the(window).bitmap.any() == (i % 2 == 0)


@pytest.mark.parametrize(("height", "width"), [(2160, 3840), (576, 768), (90, 120)])
def test_a_mask_is_shifted_against_its_person(height: int, width: int) -> None:
    """By more than a logit, a quarter of a cell."""
    image = np.zeros((height, width, 3), np.uint8)
    left, top, right, bottom = width // 3, height // 4, width // 2, height * 3 // 4
    image[top:bottom, left:right] = 255
    boxes = np.array([[left - 30, top - 20, right + 10, bottom + 40], [0, 0, width, height]], np.float32)
    for window in masks_of(Bright().segmenter(), image, boxes):
        rows, columns = np.nonzero(the(window).bitmap)
        x, y = the(window).origin
        edges = np.array([columns.min() + x, rows.min() + y, columns.max() + x + 1, rows.max() + y + 1])
        assert np.abs(edges - (left, top, right, bottom)).max() <= max(2.5 * width / 1024, 1)


def test_a_mask_reaches_far_out_of_its_box() -> None:
    ((window,)) = masks_of(Bright().segmenter(), np.full((480, 640, 3), 255, np.uint8), boxes_at(200, 100, 300, 300))
    assert the(window).origin == (198, 96)
    assert the(window).bitmap.shape == (208, 104)


def boxes_at(*edges: float) -> Float:
    return np.array([edges], np.float32)


def test_a_person_outside_of_the_image_takes_the_others_masks_along() -> None:
    boxes = np.array(
        [
            [-300, 20, -200, 100],
            [300, 200, 340, 280],
            [300, 5000, 340, 5080],
            [50, 50, 50, 50],
            [90, 90, 80, 80],
            [np.nan] * 4,
            [0, 0, np.inf, 9],
        ],
        np.float32,
    )
    network = Bright()
    found = masks_of(network.segmenter(), np.full((480, 640, 3), 255, np.uint8), boxes)
    assert [window is not None for window in found] == [False, True, False, False, False, False, False]
    assert network.seen == [(1024, 1024)]  # 256 x 256 pixels around the one who is there


@pytest.mark.parametrize(("height", "width"), [(64, 64), (2160, 3840), (1, 900), (700, 3)])
def test_an_image_of_an_unusual_size_puts_a_mask_beside_it(height: int, width: int) -> None:
    network = Bright()
    boxes = np.array(
        [[x * width - 50, y * height - 80, x * width + 50, y * height + 80] for x in (0, 0.5, 1) for y in (0, 0.5, 1)],
        np.float32,
    )
    for window in masks_of(network.segmenter(), np.full((height, width, 3), 255, np.uint8), boxes):
        (x, y), (h, w) = the(window).origin, the(window).bitmap.shape
        assert the(window).bitmap.dtype == np.bool_ and the(window).bitmap.all()
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
    ((tall, wide),) = network.seen
    assert max(tall, wide) == 1024 and tall % 64 == wide % 64 == 0


def test_a_distant_person_is_seen_without_surroundings() -> None:
    view = View.around(boxes_at(600, 20, 608, 40), 640, 480, 1024)
    left, top, right, bottom = view.part
    assert (right - left, bottom - top) == (256, 256)
    assert left + 256 == 640 and top == 0


def test_the_encoder_looks_at_more_than_people() -> None:
    boxes = np.array([[100, 200, 140, 300], [860, 210, 900, 310]], np.float32)
    view = View.around(boxes, 1000, 1000, 1024)
    assert view.part == (60, 127, 940, 383)
    assert view.size == (1024, 320)
    np.testing.assert_allclose(view.to_input(boxes)[0, 0], 40 * 1024 / 880)


def test_what_lies_beyond_the_view_is_black() -> None:
    """It has to be the colour that normalisation makes nothing of."""
    image = np.full((100, 300, 3), 255, np.uint8)
    pixels = View.around(boxes_at(0, 0, 300, 100), 300, 100, 1024).pixels(image)
    assert pixels.shape == (1, 384, 1024, 3)
    assert (pixels[0, :341] == 255).all()
    assert (pixels[0, 341:] == (104, 116, 124)).all()


def test_a_window_leaves_the_embedding_or_loses_the_box() -> None:
    random = np.random.default_rng(0)
    centres, sizes = random.uniform(-100, 1124, (200, 2)), random.uniform(1, 500, (200, 2))
    boxes = np.concatenate([centres - sizes, centres + sizes], 1).astype(np.float32)
    for box, (left, top, right, bottom) in zip(boxes, windows(boxes, (64, 28), 6), strict=True):
        assert 0 <= left < right <= 64 and 0 <= top < bottom <= 28
        assert (right - left) % 4 == (bottom - top) % 4 == 0
        low, high = np.clip(box[:2] / 16 - 6, 0, (64, 28)), np.clip(box[2:] / 16 + 6, 0, (64, 28))
        assert left <= low[0] and top <= low[1]
        assert right >= high[0] and bottom >= high[1]


@pytest.mark.parametrize(("overlap", "score"), [(0.75, 0.75), (1.2, 1.0), (-0.1, 0.0)])
def test_a_score_is_not_a_fraction(overlap: float, score: float) -> None:
    image = np.full((480, 640, 3), 255, np.uint8)
    (window,) = masks_of(Bright(overlap).segmenter(), image, boxes_at(100, 100, 200, 300))
    assert the(window).score == pytest.approx(score)


def test_a_decoder_that_is_to_see_everything_sees_a_window() -> None:
    network = Bright()
    margin = int(weights_of("mobilesam").entry.arguments["margin"])
    people = np.array([[10, 10, 20, 30], [600, 100, 620, 470]], np.float32)
    masks_of(network.segmenter(margin=margin), np.zeros((480, 640, 3), np.uint8), people)
    ((tall, wide),) = network.seen
    assert network.windows == [(2, 16, tall // 16, wide // 16)]


def test_lists_of_different_lengths_are_cut_to_the_shortest() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="zip"):
        Bright().segmenter()([image, image], [NOBODY], [NOBODY])


def test_the_real_network_does_not_fit_its_segmenter() -> None:
    compile_network = EagerCompile()
    segmenter = replace(mobilesam_segmenter(weights_of("mobilesam"), compile_network), side=256)
    assert [(part, [of.free for of in inputs]) for part, inputs in compile_network.inputs.items()] == [
        ("encoder", [(0, 1)]),
        ("decoder", [(1, 2), (1, 2), ()]),
    ]
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    boxes = np.array([[10, 20, 60, 200], [150, 20, 300, 220], [100, 100, 110, 130]], np.float32)
    for window, box in zip(masks_of(segmenter, image, boxes), boxes, strict=True):
        (x, y), (h, w) = the(window).origin, the(window).bitmap.shape
        assert x <= box[0] and y <= box[1] and x + w >= box[2] and y + h >= box[3]
        assert 0 <= the(window).score <= 1
