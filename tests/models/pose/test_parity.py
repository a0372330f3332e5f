"""Our RTMPose against ONNX Runtime running the published file, on real people."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.formats import onnx as onnx_format
from models.pose.crops import Crops
from models.pose.rtmpose import RTMPose
from models.pose.rtmpose_task import RTMPoseEstimator
from models.tasks import Float, Image
from tests.oracles.onnxruntime_chain import MEAN, STD, Chain, session
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained, real_frames

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def people() -> list[tuple[Image, Float, Float]]:
    """Frames, the boxes in them and the keypoints of those according to the plain chain."""
    chain = Chain(pretrained(YOLOX), pretrained(RTMPOSE))
    found = []
    for frame in real_frames():
        boxes, _, keypoints = chain(frame, score=0.3)
        found.append((frame, boxes, keypoints))
    return found


def network() -> RTMPose:
    return RTMPose.from_onnx(onnx_format.read(pretrained(RTMPOSE)))


def test_raw_outputs_are_those_of_onnx_runtime(people: list[tuple[Image, Float, Float]]) -> None:
    frame, boxes, _ = people[0]
    crops = Crops.around(boxes, (256, 192), 1.25).cut([frame] * len(boxes))
    images = ((crops[..., ::-1] - MEAN) / STD).transpose(0, 3, 1, 2).astype(np.float32)
    expected = session(pretrained(RTMPOSE).read_bytes(), threads=1).run(None, {"input": images})
    with torch.inference_mode():
        outputs = network()(torch.from_numpy(images))
    for output, reference in zip(outputs, expected, strict=True):
        assert output.shape == reference.shape
        np.testing.assert_allclose(output.numpy(), reference, rtol=0, atol=1e-4)


def test_the_keypoints_are_those_of_the_plain_chain(people: list[tuple[Image, Float, Float]]) -> None:
    deployed = FromPixels(network().keep_keypoints(17), RTMPose.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in deployed(torch.from_numpy(pixels)))

    frames, boxes, expected = zip(*people, strict=True)
    found = np.concatenate(RTMPoseEstimator(run)(frames, boxes))
    reference = np.concatenate(expected)
    assert len(reference) >= 20
    apart = np.abs(found[..., :2] - reference[..., :2]).max(axis=-1)
    # Where two bins are equally large to seven digits, rounding decides between them.
    assert (apart > 0.05).sum() <= 0.002 * apart.size
    np.testing.assert_allclose(found[..., 2], reference[..., 2], rtol=0, atol=1e-3)
