from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.detect.csp_darknet import Scale
from models.detect.yolox import YOLOX
from models.detect.yolox_task import YOLOXDetector
from models.device import nms
from models.device.image import DeviceImage
from models.device.yolox_task import YOLOXOnDevice
from models.tasks import Boxes, Image
from tests.models.detect.test_yolox_task import SIZE, Sees, blank
from tests.models.device.running import OnDevice, Waits, street


def same(ours: Sequence[Boxes], theirs: Sequence[Boxes], pixels: float = 1e-3) -> None:
    """The sums of single precision are added up in another order; that is all that may differ."""
    for of_image, expected in zip(ours, theirs, strict=True):
        assert of_image.xyxy.dtype == of_image.scores.dtype == np.float32
        assert of_image.xyxy.shape == expected.xyxy.shape
        np.testing.assert_allclose(of_image.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(of_image.xyxy, expected.xyxy, rtol=1e-5, atol=pixels)


def both(sees: Sees, images: Sequence[Image], **options: float) -> list[Boxes]:
    """The people on the device, which are those on the processor."""
    runner = OnDevice(sees, on_arrays=True)
    ours = YOLOXOnDevice(runner, SIZE, **options)(images)  # type: ignore[arg-type]
    same(ours, YOLOXDetector(sees, SIZE, **options)(images))  # type: ignore[arg-type]
    assert runner.batches == [len(images)]
    return ours


@pytest.mark.parametrize("shape", [(576, 768), (2160, 3840), (64, 64), (8, 2000), (2000, 8), (480, 640)])
def test_a_box_lies_elsewhere_than_on_the_processor(shape: tuple[int, int]) -> None:
    scale = min(SIZE[0] / shape[0], SIZE[1] / shape[1])
    truth = np.array([0.2 * shape[1], 0.1 * shape[0], 0.7 * shape[1], 0.9 * shape[0]]) * scale
    (boxes,) = both(Sees([(truth.tolist(), 0.8)]), [blank(*shape)])
    assert len(boxes.scores) == 1


def test_people_leak_into_the_next_image_of_a_batch() -> None:
    sees = Sees([((10, 10, 50, 90), 0.9)], [], [((200, 10, 250, 90), 0.5), ((100, 10, 150, 90), 0.7)])
    found = both(sees, [blank(*SIZE), blank(100, 100), blank(960, 1280)])
    assert [len(boxes.scores) for boxes in found] == [1, 0, 2]


@pytest.mark.parametrize("max_people", [4, 100])
def test_sixty_people_do_not_all_come_out(max_people: int) -> None:
    people = [
        ((10.0 * i, 8.0 * (i % 7), 10.0 * i + 9, 8.0 * (i % 7) + 40), 0.11 + 0.01 * (i * 7 % 60)) for i in range(60)
    ]
    (boxes,) = both(Sees(people), [blank(*SIZE)], max_people=max_people)
    assert len(boxes.scores) == min(60, max_people)


def test_people_at_the_border_or_in_the_padding_are_treated_otherwise() -> None:
    people = [((-30.0, 400.0, 60.0, 700.0), 0.9), ((300.0, 10.0, 340.0, 90.0), 0.8), ((-90.0, 0.0, -9.0, 90.0), 0.7)]
    (boxes,) = both(Sees(people), [blank(480, 200)])
    assert len(boxes.scores) == 1


def test_boxes_in_a_long_chain_are_given_out_before_they_are_settled(caplog: pytest.LogCaptureFixture) -> None:
    people = [((6.0 * i, 0.0, 6.0 * i + 20, 40.0), 0.9 - 0.01 * i) for i in range(60)]
    with caplog.at_level(logging.DEBUG, "models.device"):
        (boxes,) = both(Sees(people), [blank(*SIZE)], nms_iou=0.4)
    assert len(boxes.scores) == 30
    assert "long chains" in caplog.text


def test_candidates_are_left_out_in_silence(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "CANDIDATES", 3)
    people = [((50.0 * i, 0.0, 50.0 * i + 20, 40.0), 0.9 - 0.01 * i) for i in range(5)]
    with caplog.at_level(logging.DEBUG, "models.device"):
        (boxes,) = YOLOXOnDevice(OnDevice(Sees(people), on_arrays=True), SIZE)([blank(*SIZE)])
    np.testing.assert_allclose(boxes.scores, [0.9, 0.89, 0.88], rtol=1e-4)
    assert "5 candidates in one image: the best 3 took part" in caplog.text


def test_without_images_the_network_is_called() -> None:
    runner = OnDevice(Sees(), on_arrays=True)
    assert YOLOXOnDevice(runner, SIZE)([]) == []
    assert runner.batches == []


def test_a_real_network_finds_others_than_on_the_processor() -> None:
    torch.manual_seed(0)
    network = OnDevice(FromPixels(YOLOX(Scale(1 / 3, 1 / 8)).fuse(), YOLOX.pixels))
    images: list[Image | DeviceImage] = [street(1080, 1920), street(64, 64), np.asarray(street(8, 2000))]
    ours = YOLOXOnDevice(network, (64, 96), score=1e-6)(images)
    theirs = YOLOXDetector(network, (64, 96), score=1e-6)([np.asarray(image) for image in images])
    for of_image, expected in zip(ours, theirs, strict=True):
        # One grey level in a pixel moves the boxes a little, and may swap two that are equally likely.
        assert abs(len(of_image.scores) - len(expected.scores)) <= 2
        near = np.abs(of_image.xyxy[:, None] - expected.xyxy).max(axis=2).min(axis=1)
        assert np.quantile(near, 0.95) < 0.02 * max(of_image.xyxy.max(), 1)


def test_the_host_waits_before_the_end() -> None:
    runner = OnDevice(lambda pixels: torch.zeros(len(pixels), 6300, 6))
    with Waits() as waits:
        YOLOXOnDevice(runner, SIZE)([blank(100, 100), street(90, 120)])
    assert waits.noted == []
