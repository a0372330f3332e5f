"""On an NVIDIA GPU: the same as on the processor, and nobody waits before the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from models.device import blazepose_task, people, transfer, yolox_task
from models.device.blazepose_task import BlazePoseOnDevice
from models.device.image import DeviceImage
from models.device.rtmpose_task import RTMPoseOnDevice
from models.device.yolox_task import YOLOXOnDevice
from models.tasks import Image
from tests.models.device.running import CPU, OnDevice, street
from tests.models.segment.people import boxes_of
from tests.models.segment.test_blazepose_task import crowd, the

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

SIZE = (96, 128)


class OnGPU(OnDevice):
    """The same network on the GPU."""

    torch_device = torch.device("cuda")


def sees_grey(pixels: Tensor) -> Tensor:
    """A detector: what is bright is somebody."""
    count = sum((SIZE[0] // stride) * (SIZE[1] // stride) for stride in (8, 16, 32))
    light = pixels.float().mean(dim=3).flatten(1)[:, :: SIZE[0] * SIZE[1] // count][:, :count]
    box = torch.full((*light.shape, 4), 0.5, device=pixels.device)
    return torch.cat([box, (light[..., None] - 128) / 9, (light[..., None] - 100) / 9], dim=2)


def sees_columns(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """A pose network: keypoints lie where rows and columns are bright."""
    light = pixels.float().mean(dim=3) / 255
    x, y = (light.mean(dim=dim).repeat_interleave(2, dim=1)[:, None] for dim in (1, 2))
    return x.expand(-1, 17, -1), y.expand(-1, 17, -1)


def sees_white(pixels: Tensor) -> Tensor:
    """A mask network: what is brighter than grey is the person."""
    return (pixels[:, None, :, :, 1].float() - 127.5) / 10


@pytest.fixture
def _nobody_waits(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Whoever waits for the GPU raises, but for `download`."""

    def allowed(*tensors: Tensor) -> tuple[npt.NDArray[Any], ...]:
        torch.cuda.set_sync_debug_mode("default")
        try:
            return transfer.download(*tensors)
        finally:
            torch.cuda.set_sync_debug_mode("error")

    for module in (yolox_task, people, blazepose_task):
        monkeypatch.setattr(module, "download", allowed)
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def scene() -> tuple[list[Image | DeviceImage], list[Image | DeviceImage]]:
    """Images of two sizes, one of them as an array, for the GPU and for the processor."""
    pictures = [street(480, 640), street(480, 640, 1), street(200, 300, 2)]
    there = [DeviceImage(own.luma.cuda(), own.chroma.cuda(), own.matrix, own.full_range) for own in pictures]
    array = np.asarray(pictures[1])
    return [there[0], array, there[2]], [pictures[0], array, pictures[2]]


def test_people_on_the_gpu_are_not_those_on_the_processor() -> None:
    there, here = scene()
    ours, theirs = (
        YOLOXOnDevice(OnGPU(sees_grey), SIZE)(there),
        YOLOXOnDevice(OnDevice(sees_grey), SIZE)(here),
    )
    for of_image, expected in zip(ours, theirs, strict=True):
        assert abs(len(of_image.scores) - len(expected.scores)) <= 2
        nearest = np.abs(of_image.xyxy[:, None] - expected.xyxy).max(axis=2).min(axis=1)
        assert (nearest < 0.1).mean() > 0.9


def test_keypoints_and_masks_on_the_gpu_are_not_those_on_the_processor() -> None:
    there, here = scene()
    everyone = [crowd(40), crowd(0), crowd(5, 200, 300)]
    boxes = [boxes_of(own) for own in everyone]
    ours, theirs = (
        RTMPoseOnDevice(OnGPU(sees_columns))(there, boxes),
        RTMPoseOnDevice(OnDevice(sees_columns))(here, boxes),
    )
    off = np.linalg.norm(np.concatenate(ours)[..., :2] - np.concatenate(theirs)[..., :2], axis=2)
    assert np.quantile(off, 0.95) < 1
    masks = BlazePoseOnDevice(OnGPU(sees_white))(there, boxes, everyone)
    expected = BlazePoseOnDevice(OnDevice(sees_white))(here, boxes, everyone)
    for own, others in zip(masks, expected, strict=True):
        for window, other in zip(own, others, strict=True):
            assert (the(window).bitmap != the(other).bitmap).mean() < 0.01


@pytest.mark.usefixtures("_nobody_waits")
def test_the_host_waits_for_the_gpu_before_the_end() -> None:
    torch.cuda.set_sync_debug_mode("default")
    there, _ = scene()
    people_there = [crowd(3)] * 3
    boxes = [boxes_of(own) for own in people_there]
    torch.cuda.set_sync_debug_mode("error")
    YOLOXOnDevice(OnGPU(sees_grey), SIZE)(there)
    RTMPoseOnDevice(OnGPU(sees_columns), flip_test=True)(there, boxes)
    BlazePoseOnDevice(OnGPU(sees_white))(there, boxes, people_there)


def test_an_array_and_its_copy_on_the_gpu_differ() -> None:
    array = np.asarray(street(90, 120))
    (back,) = transfer.download(transfer.upload(array, torch.device("cuda")))
    np.testing.assert_array_equal(back, array)
    assert transfer.upload(array, CPU).device == CPU
