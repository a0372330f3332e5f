"""From a name in the zoo to a running task: every default model loads, and is reduced to what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from models.backends import Input, Source
from models.build import DETECTORS, MASKS, POSES, Builder, Execution, builder_of
from models.detect.yolox import SCALES, YOLOX
from models.detect.yolox_task import yolox_detector
from models.errors import CheckpointError, UnknownModelError, WeightsError
from models.pose.rtmpose import SCALES as POSE_SCALES
from models.pose.rtmpose import RTMPose
from models.pose.rtmpose_task import rtmpose_estimator
from models.segment.blazepose_task import blazepose_segmenter
from models.serving import DetectorOptions, PoseOptions
from models.tasks import Float, TensorRunner
from models.zoo import Zoo, load_zoo
from tests.models.compiling import EagerCompile, weights_of
from tests.oracles.pretrained import pretrained, real_frames

TORCH = Execution(backend="torch", precision="float32", threads=1)


OPTIONS = DetectorOptions((64, 64), score=0.5)


def test_a_published_detector_answers_for_eighty_classes(tmp_path: Path) -> None:
    torch.save({"state_dict": YOLOX(SCALES["nano"]).state_dict()}, tmp_path / "nano.pth")
    compiled = EagerCompile()
    yolox_detector(weights_of("yolox-nano-humanart", tmp_path / "nano.pth"), compiled, OPTIONS)
    network = compiled.networks[""]
    with torch.inference_mode():
        assert network(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))[0].shape == (1, 84, 6)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())


def test_a_published_pose_network_answers_for_more_keypoints_than_cocos(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMPose(POSE_SCALES["t"], keypoints=26).state_dict()}, tmp_path / "t.pth")
    compiled = EagerCompile()
    rtmpose_estimator(weights_of("rtmpose-t-coco", tmp_path / "t.pth"), compiled, PoseOptions())
    with torch.inference_mode():
        x, y = compiled.networks[""](torch.zeros(1, 256, 192, 3, dtype=torch.uint8))
    assert x.shape == (1, 17, 384) and y.shape == (1, 17, 512)


def test_weights_of_another_network_are_loaded_by_halves(tmp_path: Path) -> None:
    torch.save({"state_dict": RTMPose(POSE_SCALES["t"]).state_dict()}, tmp_path / "pose.pth")
    torch.save({"state_dict": YOLOX(SCALES["nano"]).state_dict()}, tmp_path / "boxes.pth")
    builder = Builder(load_zoo())
    with pytest.raises(CheckpointError):
        builder.detector("yolox-nano-humanart", TORCH, OPTIONS, str(tmp_path / "pose.pth"))
    with pytest.raises(CheckpointError):
        builder.pose("rtmpose-t-coco", TORCH, weights=str(tmp_path / "boxes.pth"))


def test_a_model_of_another_role_is_built() -> None:
    with pytest.raises(UnknownModelError, match="pose"):
        Builder(load_zoo()).pose("yolox-tiny-humanart", TORCH)


def test_every_model_of_the_zoo_has_something_that_builds_it() -> None:
    built = {"detector": DETECTORS, "pose": POSES, "masks": MASKS}
    assert [entry.name for entry in load_zoo().models if entry.architecture not in built[entry.role]] == []


@pytest.mark.parametrize("name", [*DETECTORS.values(), *POSES.values(), *MASKS.values()])
def test_what_builds_a_network_does_not_exist(name: str) -> None:
    assert callable(builder_of(name))


def test_a_path_to_weights_that_does_not_exist_is_told_late(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no file .*mine\.pth.*yolox-nano"):
        Builder(load_zoo()).detector("yolox-nano", TORCH, OPTIONS, str(tmp_path / "mine.pth"))


def test_random_weights_are_used_in_silence_or_differ_from_run_to_run(caplog: pytest.LogCaptureFixture) -> None:
    picture = np.full((64, 64, 3), 127, np.uint8)
    found = []
    for _ in range(2):
        pose = Builder(load_zoo()).pose("rtmpose-t-coco", TORCH, weights="random")
        found.append(pose([picture], [np.array([[4, 4, 40, 60]], np.float32)])[0])
    assert (found[0] == found[1]).all()
    assert "rtmpose-t-coco runs with random weights" in caplog.text


def test_weights_that_nobody_published_are_looked_for_on_a_server() -> None:
    entry = load_zoo().entry("rtmpose-t-coco")
    zoo = Zoo(models=(entry.model_copy(update={"sources": (), "sha256_prefix": None, "name": "mine"}),))
    with pytest.raises(WeightsError, match="no address is known from which weights of mine"):
        Builder(zoo).pose("mine", TORCH)


def test_logits_of_masks_come_back_in_another_shape() -> None:
    compiled = EagerCompile()
    blazepose_segmenter(weights_of("blazepose-full"), compiled)
    source = Source(compiled.networks[""], compiled.inputs[""])
    (logits,) = compiled(lambda: source).run(np.zeros((2, 256, 256, 3), np.uint8))
    assert logits.shape == (2, 1, 256, 256) and logits.dtype == np.float32


@pytest.mark.weights
def test_the_defaults_do_not_find_people_on_real_frames() -> None:
    for entry in load_zoo().defaults:
        pretrained(entry.name)
    wrapped: list[str] = []

    def wrap(name: str, runner: TensorRunner, _inputs: tuple[Input, ...]) -> TensorRunner:
        wrapped.append(name)

        def run(*inputs: npt.NDArray[Any]) -> tuple[Float, ...]:
            return runner(*inputs)

        return run

    builder = Builder(load_zoo(), wrap=wrap)
    detector = builder.detector("yolox-tiny-humanart", TORCH, DetectorOptions((480, 640), score=0.5))
    pose = builder.pose("rtmpose-s-halpe26", TORCH)
    masks = builder.masks("blazepose-full", TORCH)
    choice = builder.choices["detector"]
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
