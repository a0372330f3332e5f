"""Our BlazePose against LiteRT running the published file, on real people."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest
import torch

from models.backends.pixels import FromPixels
from models.segment import roi
from models.segment.blazepose import BlazePose, load_tflite
from models.segment.blazepose_task import BlazePoseSegmenter
from models.tasks import Bool, Float, Image, Window
from tests.oracles.onnxruntime_chain import Chain
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained, real_frames
from tests.oracles.tflite_masks import TfliteMasks

pytest.importorskip("ai_edge_litert", reason="LiteRT (pip install ai-edge-litert) is not installed")
pytestmark = pytest.mark.weights

BLAZEPOSE = "blazepose-full"


class People(NamedTuple):
    """One frame, and the boxes and keypoints in it according to the plain chain."""

    frame: Image
    boxes: Float
    keypoints: Float


@pytest.fixture(scope="module")
def everyone() -> list[People]:
    chain = Chain(pretrained(YOLOX), pretrained(RTMPOSE))
    found = []
    for frame in real_frames():
        boxes, _, keypoints = chain(frame, score=0.5)
        found.append(People(frame, boxes, keypoints))
    return found


@pytest.fixture(scope="module")
def oracle() -> TfliteMasks:
    return TfliteMasks(pretrained(BLAZEPOSE))


@pytest.fixture(scope="module")
def network() -> BlazePose:
    network = BlazePose()
    load_tflite(network, pretrained(BLAZEPOSE))
    return network.eval()


@pytest.mark.slow
def test_raw_outputs_are_those_of_litert(everyone: list[People], oracle: TfliteMasks, network: BlazePose) -> None:
    """The logits reach 1700 and float32 leaves noise on them, so both are also held against float64."""
    crops = np.concatenate([crops_of(people) for people in everyone])
    assert len(crops) >= 20
    expected = np.array([oracle.logits(crop) for crop in crops])
    with torch.inference_mode():
        output = FromPixels(network, network.pixels)(torch.from_numpy(crops))[0].numpy()[:, 0]
        exact = FromPixels(copy.deepcopy(network).double(), network.pixels)(torch.from_numpy(crops))[0].numpy()[:, 0]
    assert apart(output, expected) < 1e-4
    assert apart(output, exact) < 2 * apart(expected, exact)
    assert ((output > 0) != (expected > 0)).mean() < 1e-5


def crops_of(people: People) -> Image:
    crops = np.empty((len(people.boxes), 256, 256, 3), np.uint8)
    for region, crop in zip(roi.regions(people.boxes, people.keypoints, 256), crops, strict=True):
        roi.cut(people.frame, region, crop)
    return crops


def apart(a: Float, b: Float) -> float:
    """The distance as a fraction of the length."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def test_the_masks_are_those_of_the_plain_chain(
    everyone: list[People], oracle: TfliteMasks, network: BlazePose
) -> None:
    deployed = FromPixels(network, network.pixels)

    @torch.inference_mode()
    def run(pixels: Image) -> tuple[Float, ...]:
        return tuple(output.numpy() for output in deployed(torch.from_numpy(pixels)))

    found = BlazePoseSegmenter(run)(*zip(*everyone, strict=True))
    overlaps = [
        overlap(window, mask)
        for windows, people in zip(found, everyone, strict=True)
        for window, mask in zip(windows, oracle(*people, clip=True), strict=True)
    ]
    assert len(overlaps) >= 20
    # Beyond the border we mirror where the recipe repeats the last pixel, so people there may differ.
    assert np.median(overlaps) > 0.99 and np.mean(overlaps) > 0.95


def overlap(window: Window | None, mask: Bool) -> float:
    assert window is not None
    (x, y), (h, w) = window.origin, window.bitmap.shape
    ours = np.zeros_like(mask)
    ours[y : y + h, x : x + w] = window.bitmap
    return float((ours & mask).sum() / max((ours | mask).sum(), 1))
