from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.detect.csp_darknet import Scale
from models.detect.yolox import YOLOX
from models.detect.yolox_task import YOLOXDetector
from models.tasks import Float, Image

SIZE = (480, 640)
ANCHORS = sum((SIZE[0] // stride) * (SIZE[1] // stride) for stride in (8, 16, 32))


def blank(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


class Sees:
    """A runner that predicts these boxes, in pixels of the network's input, one list of (box, score) per image."""

    def __init__(self, *people: Sequence[tuple[Sequence[float], float]]) -> None:
        self.people = people
        self.calls = 0

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        self.calls += 1
        assert pixels.shape == (len(self.people), *SIZE, 3)
        raw = np.zeros((len(pixels), ANCHORS, 6), np.float32)
        raw[..., 4:] = -12
        for row, people in enumerate(self.people):
            for number, ((x1, y1, x2, y2), score) in enumerate(people):
                # Anchors of stride 8 come first, row by row, and any of them can predict any box.
                cell = np.array([number % (SIZE[1] // 8), number // (SIZE[1] // 8)])
                raw[row, number, :2] = np.array([x1 + x2, y1 + y2]) / 2 / 8 - cell
                raw[row, number, 2:4] = np.log(np.array([x2 - x1, y2 - y1]) / 8)
                raw[row, number, 4:6] = np.log(np.sqrt(score) / (1 - np.sqrt(score)))
        return (raw,)


@pytest.mark.parametrize("shape", [(576, 768), (2160, 3840), (64, 64), (8, 2000), (2000, 8), (480, 640)])
def test_a_box_comes_back_to_its_place_in_an_image_of_any_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    truth = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height])
    scale = min(SIZE[0] / height, SIZE[1] / width)
    (boxes,) = YOLOXDetector(Sees([((truth * scale).tolist(), 0.8)]), SIZE)([blank(*shape)])
    np.testing.assert_allclose(boxes.xyxy, truth[None], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(boxes.scores, [0.8], rtol=1e-5)
    assert boxes.xyxy.dtype == boxes.scores.dtype == np.float32


@pytest.mark.parametrize(("stride", "first"), [(8, 0), (16, 4800), (32, 6000)])
def test_every_stride_predicts_from_its_own_cells(stride: int, first: int) -> None:
    def run(pixels: Image) -> tuple[Float, ...]:
        raw = np.full((len(pixels), ANCHORS, 6), -12, np.float32)
        raw[0, first + 2 * (SIZE[1] // stride) + 5] = [0.5, 0.5, 0, 0, 9, 9]  # third row, sixth column
        return (raw,)

    (boxes,) = YOLOXDetector(run, SIZE)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.xyxy, [[5 * stride, 2 * stride, 6 * stride, 3 * stride]], atol=1e-3)


def test_nobody_in_sight_is_an_empty_result() -> None:
    (boxes,) = YOLOXDetector(Sees([]), SIZE)([blank(100, 100)])
    assert boxes.xyxy.shape == (0, 4)
    assert boxes.scores.shape == (0,)


def test_without_images_the_network_is_not_called() -> None:
    run = Sees()
    assert YOLOXDetector(run, SIZE)([]) == []
    assert run.calls == 0


def test_people_do_not_leak_into_the_next_image_of_a_batch() -> None:
    run = Sees([((10, 10, 50, 90), 0.9)], [], [((200, 10, 250, 90), 0.5), ((100, 10, 150, 90), 0.7)])
    first, second, third = YOLOXDetector(run, SIZE)([blank(*SIZE), blank(100, 100), blank(960, 1280)])
    np.testing.assert_allclose(first.xyxy, [[10, 10, 50, 90]], atol=1e-3)
    assert len(second.scores) == 0
    np.testing.assert_allclose(third.xyxy, [[200, 20, 300, 180], [400, 20, 500, 180]], atol=1e-3)
    assert run.calls == 1


def test_sixty_people_are_all_found_best_first() -> None:
    people = [
        ((10.0 * i, 8.0 * (i % 7), 10.0 * i + 9, 8.0 * (i % 7) + 40), 0.11 + 0.01 * (i * 7 % 60)) for i in range(60)
    ]
    (boxes,) = YOLOXDetector(Sees(people), SIZE)([blank(*SIZE)])
    assert len(boxes.scores) == 60
    assert (np.diff(boxes.scores) < 0).all()


def test_of_too_many_people_the_best_are_kept() -> None:
    people = [((20.0 * i, 0.0, 20.0 * i + 9, 40.0), 0.2 + 0.02 * i) for i in range(30)]
    (boxes,) = YOLOXDetector(Sees(people), SIZE, max_people=4)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.scores, [0.78, 0.76, 0.74, 0.72], rtol=1e-4)


def test_a_score_below_the_threshold_is_nobody() -> None:
    people = [((10.0, 10.0, 50.0, 90.0), 0.29), ((110.0, 10.0, 150.0, 90.0), 0.31)]
    (boxes,) = YOLOXDetector(Sees(people), SIZE, score=0.3)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.scores, [0.31], rtol=1e-4)


def test_two_boxes_of_one_person_become_one() -> None:
    people = [((10.0, 10.0, 50.0, 90.0), 0.6), ((11.0, 11.0, 51.0, 92.0), 0.8)]
    (boxes,) = YOLOXDetector(Sees(people), SIZE)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.xyxy, [[11, 11, 51, 92]], atol=1e-3)


def test_a_box_across_the_border_is_cut_off_there() -> None:
    (boxes,) = YOLOXDetector(Sees([((-30.0, 400.0, 60.0, 700.0), 0.9)]), SIZE)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.xyxy, [[0, 400, 60, 480]], atol=1e-3)


def test_a_box_in_the_padding_is_dropped() -> None:
    (boxes,) = YOLOXDetector(Sees([((300.0, 10.0, 340.0, 90.0), 0.9)]), SIZE)([blank(480, 200)])
    assert len(boxes.scores) == 0


def test_absurd_sizes_stay_finite() -> None:
    def run(pixels: Image) -> tuple[Float, ...]:
        raw = np.full((len(pixels), ANCHORS, 6), 500, np.float32)
        raw[:, 1:, 4] = -500
        return (raw,)

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        (boxes,) = YOLOXDetector(run, SIZE)([blank(*SIZE)])
    assert np.isfinite(boxes.xyxy).all()


def test_a_real_network_of_any_size_is_served() -> None:
    torch.manual_seed(0)
    network = FromPixels(YOLOX(Scale(1 / 3, 1 / 8)).fuse(), YOLOX.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in network(torch.from_numpy(pixels)))

    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*shape, 3), np.uint8) for shape in ((64, 64), (8, 2000), (1080, 1920))]
    found = YOLOXDetector(run, (64, 96), score=1e-6)(images)
    for image, boxes in zip(images, found, strict=True):
        assert 0 < len(boxes.scores) <= 100
        assert ((boxes.scores >= 0) & (boxes.scores <= 1)).all()
        assert (boxes.xyxy >= 0).all()
        assert (boxes.xyxy <= [image.shape[1], image.shape[0]] * 2).all()
