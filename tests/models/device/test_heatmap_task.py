from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.device.heatmap_task import HeatmapOnDevice
from models.device.image import DeviceImage
from models.pose.heatmap_task import PIXELS, HeatmapEstimator
from models.pose.skeletons import COCO, MPII, Skeleton
from models.tasks import Image
from tests.models.device.running import EXACT, OnDevice, Waits, street
from tests.models.device.test_rtmpose_task import crowd
from tests.models.pose.test_heatmap_task import FindsTheDot, around, boxes, dotted


@pytest.mark.parametrize("middle", [0, 1.5])
def test_keypoints_lie_elsewhere_than_on_the_processor(middle: float) -> None:
    image = dotted(300, 400, (100, 120), (222, 133))
    people = [boxes(around(104, 117), around(220, 140))]
    ours = HeatmapOnDevice(OnDevice(FindsTheDot(middle=middle), on_arrays=True), middle=middle)([image], people)
    theirs = HeatmapEstimator(FindsTheDot(middle=middle), middle=middle)([image], people)
    assert ours[0].dtype == np.float32
    np.testing.assert_allclose(ours[0][..., :2], theirs[0][..., :2], rtol=0, atol=1e-4 if EXACT else 1)
    np.testing.assert_allclose(ours[0][..., 2], theirs[0][..., 2], rtol=0, atol=1 / 255 if EXACT else 8 / 255)


def test_nobody_in_sight_is_given_to_the_network() -> None:
    runner = OnDevice(FindsTheDot(), on_arrays=True)
    found = HeatmapOnDevice(runner)([dotted(64, 64), street(20, 20)], [boxes(), boxes()])
    assert [keypoints.shape for keypoints in found] == [(0, 17, 3), (0, 17, 3)]
    assert HeatmapOnDevice(runner)([], []) == []
    assert runner.batches == []


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(("skeleton", "middle"), [(COCO, 0.0), (MPII, 1.5)])
def test_sixty_people_of_a_random_network_are_not_those_of_the_processor(
    skeleton: Skeleton, middle: float, flip_test: bool
) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 7, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(16, skeleton.count, 3, padding=1)
    )
    runner = OnDevice(FromPixels(network, PIXELS["imagenet-bgr"]))
    images: list[Image | DeviceImage] = [street(480, 640), np.asarray(street(90, 120, 1)), street(300, 200, 2)]
    people = [crowd(37, 480, 640), crowd(0, 90, 120), crowd(23, 300, 200)]
    settings = (64, 48), skeleton, middle
    ours = HeatmapOnDevice(runner, *settings, flip_test=flip_test)(images, people)
    assert runner.batches == ([32, 32, 28, 28] if flip_test else [32, 28])
    arrays = [np.asarray(image) for image in images]
    theirs = HeatmapEstimator(runner, *settings, flip_test=flip_test)(arrays, people)
    for of_image, expected, own in zip(ours, theirs, people, strict=True):
        assert of_image.shape == expected.shape == (len(own), 17, 3)
        # Pixels differ by one grey level at most; a random network has cells that are nearly equal, few though.
        moved = np.linalg.norm(of_image[..., :2] - expected[..., :2], axis=2) > 1e-2
        assert not len(own) or moved.mean() < 0.1
        np.testing.assert_allclose(of_image[..., 2], expected[..., 2], atol=0.02)
    unknown = [number for number, here in enumerate(skeleton.coco) if here is None]
    assert not ours[0][:, unknown, 2].any()


def test_the_host_waits_before_the_end() -> None:
    runner = OnDevice(lambda pixels: torch.zeros(len(pixels), 16, 64, 48))
    with Waits() as waits:
        HeatmapOnDevice(runner, skeleton=MPII, flip_test=True)([street(90, 120)], [crowd(3, 90, 120)])
    assert waits.noted == []
