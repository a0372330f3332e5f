"""YOLOv3 as a detector: boxes come back to their place, and the real weights find what OpenCV finds with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.detect.letterbox import place
from models.detect.yolov3 import VARIANTS, YOLOV3
from models.detect.yolov3_task import DARKNET, OPENMMLAB, Padding, YOLOV3Detector, load_yolov3, yolov3_detector
from models.errors import CheckpointError
from models.serving import DetectorOptions
from models.tasks import Boxes, Float, Image
from tests.models.compiling import EagerCompile, weights_of
from tests.oracles.darknet_yolov3 import darknet_file, values_of
from tests.oracles.pretrained import pretrained, real_frames

VARIANT = VARIANTS["darknet53"]
SIZE = (480, 640)
CELLS = [(SIZE[0] // stride) * (SIZE[1] // stride) for stride in VARIANT.strides]
OPTIONS = DetectorOptions((64, 96), score=0.5)


def blank(height: int, width: int) -> Image:
    return np.zeros((height, width, 3), np.uint8)


class Sees:
    """A runner that predicts these boxes, in pixels of the network's input, one list of (box, score) per image."""

    def __init__(self, *people: Sequence[tuple[Sequence[float], float]], level: int = 2, number: int = 1) -> None:
        self.people = people
        self.level, self.number = level, number

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.shape == (len(self.people), *SIZE, 3)
        raw = np.full((len(pixels), 3 * sum(CELLS), 6), -12, np.float32)
        stride, anchor = VARIANT.strides[self.level], VARIANT.anchors[self.level][self.number]
        for row, people in enumerate(self.people):
            for (x1, y1, x2, y2), score in people:
                column, line = int((x1 + x2) / 2 // stride), int((y1 + y2) / 2 // stride)
                cell = sum(CELLS[: self.level]) + line * (SIZE[1] // stride) + column
                within = np.array([(x1 + x2) / 2 / stride - column, (y1 + y2) / 2 / stride - line])
                within = np.clip(within, 1e-6, 1 - 1e-6)
                raw[row, 3 * cell + self.number] = [
                    *np.log(within / (1 - within)),
                    np.log((x2 - x1) / anchor[0]),
                    np.log((y2 - y1) / anchor[1]),
                    *2 * [np.log(np.sqrt(score) / (1 - np.sqrt(score)))],
                ]
        return (raw,)


def found(run: Sees, *shapes: tuple[int, int], **options: object) -> list[Boxes]:
    detector = replace(YOLOV3Detector(run, VARIANT, SIZE), **options)  # type: ignore[arg-type]
    return detector([blank(*shape) for shape in shapes])


@pytest.mark.parametrize("padding", [DARKNET, OPENMMLAB])
@pytest.mark.parametrize("shape", [(576, 768), (2160, 3840), (64, 64), (200, 2000), (2000, 200), (480, 640)])
def test_a_box_lands_elsewhere_in_an_image_of_another_shape(shape: tuple[int, int], padding: Padding) -> None:
    height, width = shape
    truth = np.array([0.2 * width, 0.1 * height, 0.7 * width, 0.9 * height])
    _, (scale,), (offset,) = place([blank(*shape)], SIZE, padding.level, centred=padding.centred)
    person = (truth * scale + np.tile(offset, 2)).tolist()
    (boxes,) = found(Sees([(person, 0.8)]), shape, padding=padding)
    np.testing.assert_allclose(boxes.xyxy, truth[None], rtol=1e-4, atol=2e-2)
    np.testing.assert_allclose(boxes.scores, [0.8], rtol=1e-5)
    assert boxes.xyxy.dtype == boxes.scores.dtype == np.float32


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_an_anchor_is_taken_for_that_of_another_stride_or_size(level: int, number: int) -> None:
    (boxes,) = found(Sees([((101, 53, 341, 397), 0.9)], level=level, number=number), SIZE)
    np.testing.assert_allclose(boxes.xyxy, [[101, 53, 341, 397]], atol=1e-2)


def test_people_leak_into_the_next_image_of_a_batch() -> None:
    run = Sees([((10, 10, 50, 90), 0.9)], [], [((200, 10, 250, 90), 0.5), ((100, 10, 150, 90), 0.7)])
    first, second, third = found(run, SIZE, (96, 128), (960, 1280))
    np.testing.assert_allclose(first.xyxy, [[10, 10, 50, 90]], atol=1e-2)
    assert second.xyxy.shape == (0, 4) and second.scores.shape == (0,)
    np.testing.assert_allclose(third.xyxy, [[200, 20, 300, 180], [400, 20, 500, 180]], atol=2e-2)


def test_sixty_people_are_not_all_found() -> None:
    people = [((10.0 * i, 0.0, 10.0 * i + 9, 40.0), 0.11 + 0.01 * (i * 7 % 60)) for i in range(60)]
    (boxes,) = found(Sees(people), SIZE)
    assert len(boxes.scores) == 60 and (np.diff(boxes.scores) < 0).all()
    (best,) = found(Sees(people), SIZE, max_people=3)
    np.testing.assert_allclose(best.scores, [0.7, 0.69, 0.68], rtol=1e-4)


def test_a_box_in_the_padding_is_a_person() -> None:
    (boxes,) = found(Sees([((300.0, 10.0, 340.0, 90.0), 0.9), ((10.0, 10.0, 50.0, 90.0), 0.9)]), (480, 200))
    np.testing.assert_allclose(boxes.xyxy, [[80, 10, 120, 90]], atol=1e-2)


def test_absurd_sizes_overflow() -> None:
    def run(pixels: Image) -> tuple[Float, ...]:
        return (np.full((len(pixels), 3 * sum(CELLS), 6), 500, np.float32),)

    with np.errstate(over="raise", invalid="raise", divide="raise"):
        (boxes,) = YOLOV3Detector(run, VARIANT, SIZE)([blank(*SIZE)])
    assert np.isfinite(boxes.xyxy).all()


def test_without_images_the_network_is_called() -> None:
    assert found(Sees()) == []


def test_a_file_gets_the_padding_of_the_other_layout(tmp_path: Path) -> None:
    network = YOLOV3(VARIANTS["tiny"], classes=1)
    (tmp_path / "own.weights").write_bytes(darknet_file(values_of(network)))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "own.pth")
    for file, padding in (("own.weights", DARKNET), ("own.pth", OPENMMLAB)):
        detector = yolov3_detector(weights_of("yolov3-tiny", tmp_path / file), EagerCompile(), OPTIONS)
        assert detector.padding == padding
        assert len(detector([blank(48, 48)])) == 1


def test_random_weights_do_not_run() -> None:
    compiled = EagerCompile()
    detector = yolov3_detector(weights_of("yolov3-tiny"), compiled, OPTIONS)
    assert len(detector([blank(64, 96), blank(10, 20)])) == 2
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in compiled.networks[""].modules())


def test_a_truncated_file_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "own.weights").write_bytes(darknet_file(np.zeros(1000, np.float32)))
    with pytest.raises(CheckpointError, match="1000 values"):
        load_yolov3(weights_of("yolov3-tiny", tmp_path / "own.weights"))


@pytest.mark.weights
def test_the_real_weights_find_other_boxes_than_with_opencv() -> None:
    """OpenCV 5 reads no darknet files, so they are of 4.14; see tests/oracles/darknet_yolov3.py."""
    network = load_yolov3(weights_of("yolov3-tiny", pretrained("yolov3-tiny"))).keep_classes([0]).fuse()
    deployed = FromPixels(network, network.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in deployed(torch.from_numpy(pixels)))

    detector = YOLOV3Detector(run, network.variant, (416, 416), score=0.3)
    expected = np.load(Path(__file__).parent / "golden" / "yolov3_tiny_vtest.npz")
    for number, boxes in enumerate(detector(real_frames())):
        truth = expected[str(number)]
        assert len(truth) >= 2
        np.testing.assert_allclose(boxes.xyxy, truth[:, :4], rtol=0, atol=0.5)
        np.testing.assert_allclose(boxes.scores, truth[:, 4], rtol=0, atol=5e-3)
