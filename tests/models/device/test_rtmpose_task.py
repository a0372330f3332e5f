from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.cspnext import Scale
from models.device.image import DeviceImage
from models.device.rtmpose_task import RTMPoseOnDevice
from models.pose.rtmpose import RTMPose
from models.pose.rtmpose_task import RTMPoseEstimator
from models.tasks import Float, Image
from tests.models.device.running import EXACT, OnDevice, Waits, street
from tests.models.pose.test_rtmpose_task import FindsTheDot, around, boxes, dotted


def crowd(count: int, height: int, width: int) -> Float:
    """Boxes in, across and outside of an image."""
    random = np.random.default_rng(count)
    centres = random.uniform(-0.2, 1.2, (count, 2)) * (width, height)
    halves = random.uniform(0, 0.3, (count, 2)) * (width, height)
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)


def test_keypoints_lie_elsewhere_than_on_the_processor() -> None:
    image = dotted(300, 400, (100, 120), (222, 33))
    people = [boxes(around(104, 117), around(220, 40))]
    (found,) = RTMPoseOnDevice(OnDevice(FindsTheDot(), on_arrays=True))([image], people)
    assert found.shape == (2, 17, 3) and found.dtype == np.float32
    (expected,) = RTMPoseEstimator(FindsTheDot())([image], people)
    # Where OpenCV is not exact, the pixel beside it may be the brightest.
    np.testing.assert_allclose(found[..., :2], expected[..., :2], rtol=0, atol=0 if EXACT else 0.3)
    np.testing.assert_allclose(found[..., 2], expected[..., 2], rtol=0, atol=1 / 255 if EXACT else 8 / 255)


def test_people_are_looked_for_in_another_image() -> None:
    images: list[Image] = [dotted(*shape, (20 + 9 * i, 30)) for i, shape in enumerate([(90, 90), (70, 300), (200, 80)])]
    people = [boxes(around(25, 30)), boxes(), boxes(around(40, 33), around(36, 28))]
    found = RTMPoseOnDevice(OnDevice(FindsTheDot(), on_arrays=True))(images, people)
    assert [len(of_image) for of_image in found] == [1, 0, 2]
    np.testing.assert_allclose(found[0][0, :, :2], [[20, 30]] * 17, atol=0.15)
    np.testing.assert_allclose(found[2][:, :, :2], [[[38, 30]] * 17] * 2, atol=0.15)


def test_nobody_in_sight_is_given_to_the_network() -> None:
    runner = OnDevice(FindsTheDot(), on_arrays=True)
    estimator = RTMPoseOnDevice(runner)
    assert estimator([], []) == []
    found = estimator([dotted(50, 50), street(60, 90)], [boxes(), boxes()])
    assert [of_image.shape for of_image in found] == [(0, 17, 3)] * 2
    assert runner.batches == []


def test_lists_of_different_lengths_are_cut_to_the_shortest() -> None:
    with pytest.raises(ValueError, match="zip"):
        RTMPoseOnDevice(OnDevice(FindsTheDot(), on_arrays=True))([dotted(50, 50)] * 2, [boxes(around(20, 20))])


@pytest.mark.parametrize("flip_test", [False, True])
def test_sixty_people_of_a_real_network_are_not_those_of_the_processor(flip_test: bool) -> None:
    torch.manual_seed(0)
    network = RTMPose(Scale(1 / 6, 1 / 8), size=(64, 64)).fuse()
    runner = OnDevice(FromPixels(network, RTMPose.pixels))
    images: list[Image | DeviceImage] = [street(480, 640), np.asarray(street(90, 120, 1)), street(300, 200, 2)]
    people = [crowd(37, 480, 640), crowd(0, 90, 120), crowd(23, 300, 200)]
    options = {"size": (64, 64), "max_batch": 32, "flip_test": flip_test}
    ours = RTMPoseOnDevice(runner, **options)(images, people)  # type: ignore[arg-type]
    assert runner.batches == ([32, 32, 28, 28] if flip_test else [32, 28])
    theirs = RTMPoseEstimator(runner, **options)(  # type: ignore[arg-type]
        [np.asarray(image) for image in images], people
    )
    for of_image, expected, own in zip(ours, theirs, people, strict=True):
        # Pixels differ by one grey level at most; a random network has bins that are nearly equal, few though.
        off = np.linalg.norm(of_image[..., :2] - expected[..., :2], axis=2)
        assert (off > 1e-3 * (1 + np.abs(own).max(initial=0))).mean() < 0.05 if len(own) else True
        np.testing.assert_allclose(of_image[..., 2], expected[..., 2], atol=0.01)


def test_the_host_waits_before_the_end() -> None:
    runner = OnDevice(lambda pixels: (torch.zeros(len(pixels), 26, 384), torch.zeros(len(pixels), 26, 512)))
    with Waits() as waits:
        for flip_test in (False, True):
            RTMPoseOnDevice(runner, flip_test=flip_test)([dotted(90, 90), street(90, 120)], [crowd(3, 90, 90)] * 2)
    assert waits.noted == []
