"""The accuracy of the whole chain, beside plain chains of the same weights that share none of its code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from models.evaluate.coco import CocoImage, CocoPersons, ImageResult, Scores
from stream.measuring.evaluation import evaluate_coco, evaluate_mot_video
from stream.settings import load_config
from tests.oracles.onnxruntime_chain import Chain
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained

pytestmark = [pytest.mark.weights, pytest.mark.data, pytest.mark.slow, pytest.mark.timeout(900)]

IMAGES = 20
"""Of the 85 labelled pictures as many are looked at here; `peoplestream evaluate coco` looks at all."""

FLOOR = 0.05
"""Lowest score of a detection on both sides."""


def data() -> Path:
    """The folder with labelled data; skips the test where there is none."""
    folder = Path(os.environ.get("PEOPLESTREAM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no labelled data in {folder}; PEOPLESTREAM_DATA names another folder")
    return folder


class FirstImages(CocoPersons):
    """The first `IMAGES` pictures of the ground truth."""

    def __init__(self) -> None:
        folder = data() / "coco_dev"
        super().__init__(folder / "person_keypoints_val_dev.json", folder / "images")
        self.images = self.images[:IMAGES]


@pytest.fixture(scope="module")
def truth() -> CocoPersons:
    return FirstImages()


@pytest.fixture(scope="module")
def plain(truth: CocoPersons) -> dict[str, Scores]:
    """What ONNX Runtime and LiteRT say of the same pictures."""
    litert = pytest.importorskip("tests.oracles.tflite_masks", reason="LiteRT (ai-edge-litert) is not installed")
    chain = Chain(pretrained(YOLOX), pretrained(RTMPOSE), size=640, threads=2)
    masks = litert.TfliteMasks(pretrained("blazepose-full"))
    return truth.evaluate([look(image, chain, masks) for image in truth.images])


def look(image: CocoImage, chain: Chain, masks: Any) -> ImageResult:
    picture = np.asarray(cv2.imread(str(image.path)), np.uint8)
    boxes, scores, keypoints = chain(picture, score=FLOOR)
    bitmaps = masks(picture, boxes, keypoints, clip=True)
    encoded = [rle.encode(np.asfortranarray(bitmap, dtype=np.uint8)) for bitmap in bitmaps]
    return ImageResult(image.id, *(np.asarray(x, np.float32) for x in (boxes, scores, keypoints)), masks=encoded)


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_the_chain_loses_accuracy_against_a_plain_one(
    truth: CocoPersons, plain: dict[str, Scores], backend: str
) -> None:
    settings = [f"detector.score={FLOOR}", "detector.height=640", "detector.width=640"]
    for role in ("detector", "pose", "masks"):
        settings += [f"{role}.backend={backend}", f"{role}.precision=float32"]
    ours, assembly = evaluate_coco(load_config(None, settings), truth)
    assert {choice.backend for choice in assembly.choices.values()} == {backend}
    for kind in ("box", "keypoints"):
        assert ours[kind].AP == pytest.approx(plain[kind].AP, abs=0.01), kind
    assert ours["masks"].AP >= plain["masks"].AP - 0.01  # ours mirror the image at its border, which helps


def test_bfloat16_costs_the_detector_accuracy(truth: CocoPersons, plain: dict[str, Scores]) -> None:
    settings = [f"detector.score={FLOOR}", "detector.height=640", "detector.width=640", "detector.precision=bfloat16"]
    ours, _ = evaluate_coco(load_config(None, [*settings, "pose.model=null", "masks.model=null"]), truth)
    assert ours["box"].AP == pytest.approx(plain["box"].AP, abs=0.01)


def test_ids_on_real_video_are_worse_than_promised() -> None:
    folder = data()
    config = load_config(None, ["masks.model=null"], [str(folder / "video" / "vtest.avi")])
    scores, _, _ = evaluate_mot_video(config, folder / "mot_dev" / "PETS09-S2L1" / "gt" / "gt.txt")
    assert scores.frames == 795
    assert scores.HOTA >= 0.62 and scores.MOTA >= 0.82 and scores.IDF1 >= 0.82
