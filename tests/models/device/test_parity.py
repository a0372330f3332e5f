"""With published weights, on real frames: what is found on the device is what is found on the processor."""

from __future__ import annotations

import numpy as np
import pytest

from models.build import DETECTORS, MASKS, POSES, builder_of
from models.device.blazepose_task import BlazePoseOnDevice
from models.device.rtmpose_task import RTMPoseOnDevice
from models.device.yolox_task import YOLOXOnDevice
from models.serving import DetectorOptions, PoseOptions, Weights
from models.tasks import Detector, PoseEstimator, Segmenter
from models.zoo import load_zoo
from tests.models.compiling import EagerCompile
from tests.models.device.running import OnDevice
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained, real_frames

pytestmark = pytest.mark.weights

SIZE = (416, 416)


def published(name: str) -> Weights:
    return Weights(load_zoo().entry(name), pretrained(name))


def test_people_keypoints_and_masks_are_others_than_on_the_processor() -> None:
    frames = real_frames()[:3]
    compiled = EagerCompile()
    detector: Detector = builder_of(DETECTORS["yolox"])(published(YOLOX), compiled, DetectorOptions(SIZE))
    found = detector(frames)
    boxes = [of_image.xyxy for of_image in found]
    ours = YOLOXOnDevice(OnDevice(compiled.networks[""]), SIZE)(frames)
    for own, of_image in zip(ours, found, strict=True):
        assert len(own.scores) == len(of_image.scores) >= 4
        np.testing.assert_allclose(own.scores, of_image.scores, atol=0.02)
        nearest = np.abs(own.xyxy[:, None] - of_image.xyxy).max(axis=2).min(axis=0)
        assert nearest.max() < 2.0  # of two anchors that are nearly equal the other one may win
        assert np.median(nearest) < 0.25

    pose: PoseEstimator = builder_of(POSES["rtmpose"])(published(RTMPOSE), compiled, PoseOptions())
    keypoints = pose(frames, boxes)
    placed = RTMPoseOnDevice(OnDevice(compiled.networks[""]))(frames, boxes)
    for points, expected in zip(placed, keypoints, strict=True):
        sure = expected[..., 2] > 0.3
        assert np.abs((points - expected)[sure]).max() < 1.0

    masks: Segmenter = builder_of(MASKS["blazepose"])(published("blazepose-full"), compiled)
    windows = [window for windows in masks(frames, boxes, keypoints) for window in windows]
    pasted = BlazePoseOnDevice(OnDevice(compiled.networks[""]))(frames, boxes, keypoints)
    for window, expected_window in zip((window for own in pasted for window in own), windows, strict=True):
        assert window is not None and expected_window is not None
        both = window.bitmap & expected_window.bitmap
        assert both.sum() > 0.98 * (window.bitmap | expected_window.bitmap).sum()
