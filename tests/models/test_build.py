"""From a name in the zoo to a running task: every default model loads, and is reduced to what is asked of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends import CompileSpec, FromPixels
from models.backends.torch_cpu import TorchBackend
from models.build import Builder, Execution, load_network
from models.detect import SCALES, YOLOX
from models.errors import CheckpointError, UnknownModelError
from models.pose import SCALES as POSE_SCALES
from models.pose import RTMPose
from models.segment import BlazePose
from models.tasks import Float, Image, Runner
from models.zoo import ModelEntry, Role, load_zoo
from tests.oracles.pretrained import pretrained, real_frames

TORCH = Execution(backend="torch", precision="float32", threads=1)


def published(name: str) -> ModelEntry:
    return load_zoo().entry(name)


def test_a_published_detector_answers_for_eighty_classes(tmp_path: Path) -> None:
    torch.save({"state_dict": YOLOX(SCALES["nano"]).state_dict()}, tmp_path / "nano.pth")
    network = load_network(published("yolox-nano-humanart"), tmp_path / "nano.pth")
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 84, 6)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_a_published_pose_network_answers_for_more_keypoints_than_cocos(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMPose(POSE_SCALES["t"], keypoints=26).state_dict()}, tmp_path / "t.pth")
    network = load_network(published("rtmpose-t-coco"), tmp_path / "t.pth")
    with torch.inference_mode():
        x, y = network(torch.zeros(1, 3, 256, 192))
    assert x.shape == (1, 17, 384) and y.shape == (1, 17, 512)


@pytest.mark.parametrize(
    ("name", "other"), [("yolox-nano-humanart", RTMPose(POSE_SCALES["t"])), ("rtmpose-t-coco", YOLOX(SCALES["nano"]))]
)
def test_weights_of_another_network_are_loaded_by_halves(tmp_path: Path, name: str, other: torch.nn.Module) -> None:
    torch.save({"state_dict": other.state_dict()}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError):
        load_network(published(name), tmp_path / "other.pth")


def test_a_model_of_another_role_is_built() -> None:
    with pytest.raises(UnknownModelError, match="pose"):
        Builder(load_zoo()).pose("yolox-tiny-humanart", TORCH)


def test_logits_of_masks_come_back_in_another_shape() -> None:
    network = BlazePose().eval()
    compiled = TorchBackend().compile(FromPixels(network, network.pixels), CompileSpec(1, 256, 256, "float32", 1))
    (logits,) = compiled(np.zeros((2, 256, 256, 3), np.uint8))
    assert logits.shape == (2, 1, 256, 256) and logits.dtype == np.float32


@pytest.mark.weights
def test_the_defaults_do_not_find_people_on_real_frames() -> None:
    for entry in load_zoo().defaults:
        pretrained(entry.name)
    wrapped: list[Role] = []

    def wrap(role: Role, runner: Runner) -> Runner:
        wrapped.append(role)

        def run(pixels: Image) -> tuple[Float, ...]:
            return runner(pixels)

        return run

    builder = Builder(load_zoo(), wrap=wrap)
    detector, choice = builder.detector("yolox-tiny-humanart", TORCH, (480, 640), score=0.5)
    pose, _ = builder.pose("rtmpose-s-halpe26", TORCH)
    masks, _ = builder.masks("blazepose-full", TORCH)
    assert wrapped == ["detector", "pose", "masks"]
    assert (choice.backend, choice.precision, choice.refused) == ("torch", "float32", ())
    frames = real_frames()[:2]
    boxes = [found.xyxy for found in detector(frames)]
    keypoints = pose(frames, boxes)
    windows = masks(frames, boxes, keypoints)
    visible = np.concatenate([(points[..., 2] > 0.5).sum(axis=1) for points in keypoints])
    assert np.median(visible) >= 12
    for of_boxes, of_keypoints, of_windows in zip(boxes, keypoints, windows, strict=True):
        assert 3 <= len(of_boxes) <= 9
        for (x1, y1, x2, y2), points, window in zip(of_boxes, of_keypoints, of_windows, strict=True):
            good = points[points[:, 2] > 0.5, :2]
            inside = (good >= (x1 - 5, y1 - 5)).all(axis=1) & (good <= (x2 + 5, y2 + 5)).all(axis=1)
            assert inside.mean() > 0.9
            assert window is not None and 0.1 < window.bitmap.mean() < 0.95
