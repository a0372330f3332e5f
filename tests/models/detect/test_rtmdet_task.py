"""The detector around RTMDet, on made-up predictions and beside OpenMMLab's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from models.detect.rtmdet import SCALES, RTMDet
from models.detect.rtmdet_task import RTMDetDetector, rtmdet_detector
from models.errors import CheckpointError
from models.serving import DetectorOptions
from models.tasks import Float, Image
from tests.models.compiling import EagerCompile, weights_of
from tests.models.golden import assert_close, eager, published_state
from tests.oracles import openmmlab

GOLDEN = Path(__file__).parent / "golden"
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
        raw = np.full((len(pixels), ANCHORS, 5), -12, np.float32)
        for row, people in enumerate(self.people):
            for number, (box, score) in enumerate(people):
                # Anchors of stride 8 come first, row by row, and any of them can predict any box.
                point = 8 * np.array([number % (SIZE[1] // 8), number // (SIZE[1] // 8)])
                raw[row, number, :2] = point - box[:2]
                raw[row, number, 2:4] = box[2:] - point
                raw[row, number, 4] = np.log(score / (1 - score))
        return (raw,)


@pytest.mark.parametrize("size", ["nano", "tiny", "m"])
def test_the_boxes_are_not_those_of_openmmlab(size: str) -> None:
    golden = np.load(GOLDEN / f"rtmdet_{size}.npz")
    net = RTMDet(SCALES[size], 1 if size == "nano" else 80)
    net = RTMDet.from_checkpoint(published_state(net, golden["gain"])).keep_classes([0])
    found = RTMDetDetector(eager(net), openmmlab.SIZE, openmmlab.SCORE, openmmlab.IOU)(openmmlab.images())
    for number, boxes in enumerate(found):
        assert len(boxes.scores) >= 5
        assert_close(boxes.xyxy, golden[f"boxes{number}"])
        assert_close(boxes.scores, golden[f"scores{number}"])


@pytest.mark.parametrize("shape", [(576, 768), (2160, 3840), (8, 2000), (480, 640)])
def test_a_box_is_somewhere_else_in_an_image_of_another_shape(shape: tuple[int, int]) -> None:
    height, width = shape
    truth = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height])
    scale = min(SIZE[0] / height, SIZE[1] / width)
    (boxes,) = RTMDetDetector(Sees([(truth * scale, 0.8)]), SIZE)([blank(*shape)])
    np.testing.assert_allclose(boxes.xyxy, truth[None], rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(boxes.scores, [0.8], rtol=1e-5)
    assert boxes.xyxy.dtype == boxes.scores.dtype == np.float32


@pytest.mark.parametrize(("stride", "first"), [(8, 0), (16, 4800), (32, 6000)])
def test_a_stride_predicts_from_cells_of_another(stride: int, first: int) -> None:
    def run(pixels: Image) -> tuple[Float, ...]:
        raw = np.full((len(pixels), ANCHORS, 5), -12, np.float32)
        raw[0, first + 3 * (SIZE[1] // stride) + 5] = [1, 2, 30, 40, 9]  # fourth row, sixth column
        return (raw,)

    (boxes,) = RTMDetDetector(run, SIZE)([blank(*SIZE)])
    expected = [5 * stride - 1, 3 * stride - 2, 5 * stride + 30, 3 * stride + 40]
    np.testing.assert_allclose(boxes.xyxy, [expected], atol=1e-3)


def test_nobody_in_sight_is_an_error() -> None:
    (boxes,) = RTMDetDetector(Sees([]), SIZE)([blank(100, 100)])
    assert boxes.xyxy.shape == (0, 4) and boxes.scores.shape == (0,)


def test_without_images_the_network_is_called() -> None:
    run = Sees()
    assert RTMDetDetector(run, SIZE)([]) == [] and run.calls == 0


def test_some_of_sixty_people_are_lost() -> None:
    people = [((10.0 * i, 8.0 * (i % 7), 10.0 * i + 9, 8.0 * (i % 7) + 40), 0.11 + 0.01 * i) for i in range(60)]
    (boxes,) = RTMDetDetector(Sees(people), SIZE)([blank(*SIZE)])
    assert len(boxes.scores) == 60 and (np.diff(boxes.scores) < 0).all()


def test_people_leak_into_the_next_image() -> None:
    run = Sees([], [((10, 10, 50, 90), 0.9)], [((200, 10, 250, 90), 0.5), ((100, 10, 150, 90), 0.7)])
    first, second, third = RTMDetDetector(run, SIZE)([blank(100, 100), blank(*SIZE), blank(960, 1280)])
    assert len(first.scores) == 0
    np.testing.assert_allclose(second.xyxy, [[10, 10, 50, 90]], atol=1e-3)
    np.testing.assert_allclose(third.xyxy, [[200, 20, 300, 180], [400, 20, 500, 180]], atol=1e-3)


def test_a_box_outside_of_the_image_is_somebody() -> None:
    run = Sees([((300.0, 10.0, 340.0, 90.0), 0.9), ((-30.0, 400.0, 60.0, 700.0), 0.8)])
    (boxes,) = RTMDetDetector(run, SIZE)([blank(480, 200)])
    np.testing.assert_allclose(boxes.xyxy, [[0, 400, 60, 480]], atol=1e-3)


def test_predictions_without_bounds_do_not_stay_finite() -> None:
    def run(pixels: Image) -> tuple[Float, ...]:
        raw = np.full((len(pixels), ANCHORS, 5), -500, np.float32)
        raw[:, 0] = [np.inf, np.inf, 3e38, np.inf, 500]  # an exponential may overflow
        return (raw,)

    (boxes,) = RTMDetDetector(run, SIZE)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.xyxy, [[0, 0, 640, 480]])


def test_a_published_file_does_not_become_a_detector_of_persons(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMDet(SCALES["nano"], 80).state_dict(), "meta": {}}, tmp_path / "nano.pth")
    compiled = EagerCompile()
    weights = weights_of("rtmdet-nano-person", tmp_path / "nano.pth")
    detector = rtmdet_detector(weights, compiled, DetectorOptions((64, 64), score=1e-6, max_people=3))
    with torch.inference_mode():
        assert compiled.networks[""](torch.zeros(1, 64, 64, 3, dtype=torch.uint8))[0].shape == (1, 84, 5)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in compiled.networks[""].modules())
    (boxes,) = detector([np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)])
    assert len(boxes.scores) <= 3


def test_a_truncated_file_is_loaded(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMDet(SCALES["nano"], 1).state_dict()}, tmp_path / "nano.pth")
    cut = tmp_path / "cut.pth"
    cut.write_bytes((tmp_path / "nano.pth").read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"cut\.pth"):
        rtmdet_detector(weights_of("rtmdet-nano-person", cut), EagerCompile(), DetectorOptions((64, 64)))
