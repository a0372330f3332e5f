from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.cspnext import Scale
from models.errors import CheckpointError
from models.pose.rtmpose import RTMPose
from models.pose.rtmpose_task import RTMPoseEstimator, load_rtmpose, rtmpose_estimator
from models.serving import PoseOptions
from models.tasks import Float, Image
from tests.models.compiling import EagerCompile, weights_of


class FindsTheDot:
    """A runner whose every keypoint is the brightest pixel of the crop, as sure as that is bright."""

    def __init__(self, keypoints: int = 17) -> None:
        self.keypoints = keypoints
        self.batches: list[int] = []

    def __call__(self, pixels: Image) -> tuple[Float, ...]:
        self.batches.append(len(pixels))
        count, height, width, _ = pixels.shape
        brightest = pixels[..., 0].reshape(count, -1).argmax(axis=1)
        rows, columns = np.divmod(brightest, width)
        x = np.zeros((count, self.keypoints, 2 * width), np.float32)
        y = np.zeros((count, self.keypoints, 2 * height), np.float32)
        people = np.arange(count)
        x[people, :, 2 * columns] = y[people, :, 2 * rows] = pixels.max(axis=(1, 2, 3))[:, None] / 255
        return x, y


def dotted(height: int, width: int, *dots: tuple[int, int]) -> Image:
    image = np.zeros((height, width, 3), np.uint8)
    for x, y in dots:
        image[y, x] = 255
    return image


def around(x: float, y: float, width: float = 30, height: float = 40) -> list[float]:
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def boxes(*rows: list[float]) -> Float:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_keypoints_come_back_to_the_pixels_of_their_image() -> None:
    image = dotted(300, 400, (100, 120), (222, 33))
    (found,) = RTMPoseEstimator(FindsTheDot())([image], [boxes(around(104, 117), around(220, 40))])
    assert found.shape == (2, 17, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0, :, :2], [[100, 120]] * 17, atol=0.15)
    np.testing.assert_allclose(found[1, :, :2], [[222, 33]] * 17, atol=0.15)
    assert (found[..., 2] > 0.8).all()


def test_nobody_is_an_empty_result_and_the_network_is_not_called() -> None:
    run = FindsTheDot()
    found = RTMPoseEstimator(run)([dotted(64, 64), dotted(10, 10)], [boxes(), boxes()])
    assert [keypoints.shape for keypoints in found] == [(0, 17, 3), (0, 17, 3)]
    assert RTMPoseEstimator(run)([], []) == []
    assert run.batches == []


def test_people_of_all_images_share_a_batch_and_return_to_their_own() -> None:
    run = FindsTheDot()
    images = [dotted(200, 200, (50, 60)), dotted(64, 64), dotted(2160, 3840, (3000, 2000), (700, 80))]
    found = RTMPoseEstimator(run)(images, [boxes(around(50, 60)), boxes(), boxes(around(3000, 2000), around(700, 80))])
    assert run.batches == [3]
    assert [len(keypoints) for keypoints in found] == [1, 0, 2]
    np.testing.assert_allclose(found[0][0, 0, :2], [50, 60], atol=0.15)
    np.testing.assert_allclose(found[2][:, 0, :2], [[3000, 2000], [700, 80]], atol=0.15)


def test_sixty_people_are_split_into_bounded_batches_in_order() -> None:
    run = FindsTheDot()
    places = [(40 + 60 * (i % 10), 50 + 70 * (i // 10)) for i in range(60)]
    image = dotted(500, 700, *places)
    (found,) = RTMPoseEstimator(run, max_batch=32)([image], [boxes(*[around(*place) for place in places])])
    assert run.batches == [32, 28]
    np.testing.assert_allclose(found[:, 0, :2], places, atol=0.15)


def test_of_26_keypoints_the_17_of_coco_are_returned() -> None:
    (found,) = RTMPoseEstimator(FindsTheDot(26))([dotted(100, 100, (50, 50))], [boxes(around(50, 50))])
    assert found.shape == (1, 17, 3)


@pytest.mark.parametrize("place", [(0, 0), (63, 63), (0, 30), (40, 63)])
def test_people_at_the_border_of_a_small_image_are_found(place: tuple[int, int]) -> None:
    (found,) = RTMPoseEstimator(FindsTheDot())([dotted(64, 64, place)], [boxes(around(*place))])
    np.testing.assert_allclose(found[0, 0, :2], place, atol=0.15)


def test_a_person_outside_of_the_image_has_no_keypoints() -> None:
    (found,) = RTMPoseEstimator(FindsTheDot())([dotted(64, 64, (5, 5))], [boxes(around(400, 400))])
    assert (found[..., 2] == 0).all()


def test_a_real_network_of_another_input_size_is_served() -> None:
    torch.manual_seed(0)
    network = FromPixels(RTMPose(Scale(1 / 6, 1 / 8), 17, (64, 96)).fuse(), RTMPose.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in network(torch.from_numpy(pixels)))

    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    (found,) = RTMPoseEstimator(run, size=(64, 96))([image], [boxes(around(80, 60), around(10, 10))])
    assert found.shape == (2, 17, 3)
    assert np.isfinite(found).all()
    assert ((found[..., 2] >= 0) & (found[..., 2] <= 1)).all()


@pytest.mark.parametrize("keypoints", [14, 21, 106])
def test_weights_of_another_skeleton_are_taken(tmp_path: Path, keypoints: int) -> None:
    torch.save({"state_dict": RTMPose(Scale(1 / 6, 1 / 8), keypoints).state_dict()}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=rf"other\.pth finds {keypoints} keypoints, another skeleton"):
        load_rtmpose(weights_of("rtmpose-t-coco", tmp_path / "other.pth"))


def test_weights_of_another_input_size_do_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMPose(Scale(1 / 6, 1 / 8), 133, (96, 64)).state_dict()}, tmp_path / "small.pth")
    estimator = rtmpose_estimator(weights_of("rtmpose-t-coco", tmp_path / "small.pth"), EagerCompile(), PoseOptions())
    assert isinstance(estimator, RTMPoseEstimator)
    (found,) = estimator([np.zeros((120, 160, 3), np.uint8)], [boxes(around(80, 60))])
    assert estimator.size == (96, 64) and found.shape == (1, 17, 3)


def test_a_flip_test_swaps_no_sides_or_is_blurred_by_the_mirror() -> None:
    class SeesLeftHalf:
        """Finds keypoint 1 (left eye) at the dot; a mirrored person's is found as keypoint 2."""

        def __call__(self, pixels: Image) -> tuple[Float, ...]:
            x, y = FindsTheDot()(pixels)
            mirrored = pixels[:, :, : pixels.shape[2] // 2].max() < 200
            keep = 2 if mirrored else 1
            for axis in (x, y):
                axis[:, [k for k in range(17) if k != keep]] = 0
            return x, y

    image, box = dotted(256, 192, (50, 100)), boxes([0, 0, 192, 256])
    plain = RTMPoseEstimator(SeesLeftHalf(), padding=1)([image], [box])[0]
    twice = RTMPoseEstimator(SeesLeftHalf(), padding=1, flip_test=True)([image], [box])[0]
    assert plain[0, 1, 2] > 0.8 and twice[0, 2, 2] == 0
    np.testing.assert_allclose(twice[0, 1, :2], plain[0, 1, :2], atol=0.6)
