"""Keypoints with an FCN-8: of every joint the likeliest place in the box."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends import Input
from models.coco import MIRRORED
from models.pose.fcn8_task import FCN8PoseEstimator, JointProbabilities, fcn8_pose_estimator
from models.segment.fcn8 import FCN8
from models.serving import PoseOptions
from models.tasks import Float, Image
from tests.models.compiling import EagerCompile, weights_of
from tests.oracles.filled import fill

SIZE = (128, 256)


class Bright:
    """A network to which every joint is where it is bright: the odd ones in green, the others in red."""

    def __init__(self) -> None:
        self.frames: list[int] = []

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (*SIZE, 3)
        self.frames.append(len(pixels))
        channels = [1 if joint % 2 else 2 for joint in range(17)]
        return (np.stack([pixels[..., channel] for channel in channels], 1).astype(np.float32) / np.float32(255),)


def spots(height: int, width: int, *places: tuple[int, int, int]) -> Image:
    """An image with spots (x, y, channel) of five pixels of the network's input."""
    image = np.zeros((height, width, 3), np.uint8)
    reach = max(round(2.5 * max(height / SIZE[0], width / SIZE[1])), 2)
    for x, y, channel in places:
        image[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1, channel] = 255
    return image


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(("height", "width"), [(480, 640), (1080, 1920), (90, 80)])
def test_joints_lie_beside_where_they_are(height: int, width: int, flip_test: bool) -> None:
    """With the flip test a joint and its other side change their colours, and so both channels have to be bright."""
    x, y = width // 3, height // 2
    image = spots(height, width, (x, y, 1), (x, y, 2))
    (found,) = FCN8PoseEstimator(Bright(), SIZE, flip_test)([image], [np.array([[0, 0, width, height]], np.float32)])
    pixel = max(height / SIZE[0], width / SIZE[1], 1)
    assert found.shape == (1, 17, 3) and found.dtype == np.float32
    assert np.abs(found[..., :2] - (x, y)).max() <= 3.5 * pixel  # the first of the brightest, in the corner of the spot
    assert found[..., 2].min() > 0.9


def test_the_middle_of_a_pixel_becomes_its_corner() -> None:
    def everywhere_at(_: Image) -> tuple[Float, ...]:
        maps = np.zeros((1, 17, *SIZE), np.float32)
        maps[:, :, 20, 40] = 1
        return (maps,)

    image = np.zeros((2 * SIZE[0], 2 * SIZE[1], 3), np.uint8)
    (found,) = FCN8PoseEstimator(everywhere_at, SIZE)([image], [np.array([[0, 0, 500, 250]], np.float32)])
    np.testing.assert_allclose(found[0, :, :2], np.broadcast_to([80.5, 40.5], (17, 2)))


def test_a_joint_of_the_neighbour_is_taken() -> None:
    image = spots(480, 640, (100, 200, 1), (110, 100, 2), (400, 200, 1), (420, 100, 2))
    boxes = np.array([[50, 50, 200, 300], [350, 50, 500, 300]], np.float32)
    (found,) = FCN8PoseEstimator(Bright(), SIZE)([image], [boxes])
    odd = np.arange(17) % 2 == 1
    for person, x in zip(found, (100, 400), strict=True):
        assert np.abs(person[odd, :2] - (x, 200)).max() < 15
        assert np.abs(person[~odd, 1] - 100).max() < 15


def test_a_box_outside_of_the_image_takes_the_others_along() -> None:
    nan = float("nan")
    boxes = np.array(
        [[-90, 0, -50, 90], [0, 0, 640, 480], [90, 90, 60, 60], [nan] * 4, [9000, 0, 9900, 90]], np.float32
    )
    (found,) = FCN8PoseEstimator(Bright(), SIZE)([np.full((480, 640, 3), 255, np.uint8)], [boxes])
    assert (found[..., 2] > 0).all(1).tolist() == [False, True, False, False, False]
    assert not found[[0, 2, 3, 4]].any()


def test_an_image_without_people_goes_through_the_network() -> None:
    network = Bright()
    estimator = FCN8PoseEstimator(network, SIZE)
    nobody, sixty = np.zeros((0, 4), np.float32), np.tile(np.array([[5, 5, 60, 90]], np.float32), (60, 1))
    images = [np.zeros((100, 200, 3), np.uint8)] * 3
    assert estimator([], []) == []
    assert [len(people) for people in estimator(images, [nobody] * 3)] == [0, 0, 0]
    assert network.frames == []
    assert [people.shape for people in estimator(images, [nobody, sixty, nobody])] == [
        (0, 17, 3),
        (60, 17, 3),
        (0, 17, 3),
    ]
    assert network.frames == [1]


def test_left_and_right_are_exchanged_by_the_flip_test() -> None:
    """The network marks the left shoulder alone, on the side where it sees it."""

    def network(pixels: Image) -> tuple[Float, ...]:
        maps = np.zeros((len(pixels), 17, *SIZE), np.float32)
        bright = pixels[..., 1].astype(np.float32) / 255
        mirrored = pixels[0, 0, 0, 0] == 0  # the mark in the corner is elsewhere
        maps[:, MIRRORED[5] if mirrored else 5] = bright
        return (maps,)

    image = spots(128, 256, (60, 70, 1))
    image[0, 0, 0] = 255
    (found,) = FCN8PoseEstimator(network, SIZE, flip_test=True)([image], [np.array([[0, 0, 256, 128]], np.float32)])
    assert found[0, 5, 2] == 1 and np.abs(found[0, 5, :2] - (60, 70)).max() < 4
    assert found[0, 6, 2] == 0


def test_the_background_counts_as_a_joint(monkeypatch: pytest.MonkeyPatch) -> None:
    network = fill(FCN8(18, "same", (4, 4, 4, 4, 4), 8))
    with torch.inference_mode():
        images = torch.rand(1, 3, 64, 64)
        joints = JointProbabilities(network)(images)
        assert joints.shape == (1, 17, 64, 64)
        torch.testing.assert_close(joints.sum(1) + network(images).softmax(1)[:, 17], torch.ones(1, 64, 64))
    monkeypatch.setattr("models.pose.fcn8_task.load_fcn8", lambda weights: network)
    compiled = EagerCompile()
    estimator = fcn8_pose_estimator(weights_of("fcn8-pose"), compiled, PoseOptions(flip_test=True))
    assert estimator.flip_test and compiled.inputs[""] == (Input.pixels(256, 512),)
    (found,) = estimator([np.zeros((90, 80, 3), np.uint8)], [np.array([[0, 0, 80, 90]], np.float32)])
    assert ((found[..., 2] > 0) & (found[..., 2] < 1)).all()
