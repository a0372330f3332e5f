"""The accuracy of the whole chain, beside plain chains of the same weights that share none of its code."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from models.evaluate.coco import CocoImage, CocoPersons, ImageResult, Scores
from stream.measuring.comparison import Comparison, compare
from stream.measuring.evaluation import evaluate_coco, evaluate_mot_video
from stream.settings import load_config
from tests.oracles.onnxruntime_chain import Chain
from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained

pytestmark = [pytest.mark.weights, pytest.mark.data, pytest.mark.slow, pytest.mark.timeout(900)]

IMAGES = 20
"""Of the 85 labelled pictures as many are looked at here; `peoplestream evaluate coco` looks at all."""

FRAMES = 150
"""Of the video with ground truth; `peoplestream evaluate compare` looks at all 795."""

CONFIGS = Path(__file__).parents[1] / "configs"

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


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the first `FRAMES` of the video, bit for bit, and with what is to be seen in them."""
    folder = tmp_path_factory.mktemp("video")
    with av.open(str(data() / "video" / "vtest.avi")) as source, av.open(str(folder / "clip.avi"), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in islice(source.demux(video=0), FRAMES):
            packet.stream = stream
            sink.mux(packet)
    lines = (data() / "mot_dev" / "PETS09-S2L1" / "gt" / "gt.txt").read_text().splitlines(keepends=True)
    (folder / "gt.txt").write_text("".join(line for line in lines if int(line.split(",")[0]) <= FRAMES))
    return folder


@pytest.fixture(scope="module")
def presets(beginning: Path) -> dict[str, Comparison]:
    """What `evaluate compare` says of our three configurations."""
    names = ("accurate", "balanced", "fast")
    configs = {name: load_config(CONFIGS / f"{name}.yaml", [], [str(beginning / "clip.avi")]) for name in names}
    return {row.name: row for row in compare(configs, beginning / "gt.txt")}


@pytest.mark.parametrize(
    ("name", "mota", "idf1", "keypoints", "masks"),
    [
        ("accurate", 0.74, 0.80, 1.0, 1.0),
        ("balanced", 0.73, 0.80, 0.93, 0.77),
        ("fast", 0.69, 0.78, 0.83, 0.71),
    ],
)
def test_a_preset_is_less_accurate_than_promised(
    presets: dict[str, Comparison], name: str, mota: float, idf1: float, keypoints: float, masks: float
) -> None:
    row = presets[name]
    assert row.scores is not None and row.scores.frames == FRAMES
    assert row.scores.MOTA >= mota and row.scores.IDF1 >= idf1
    assert row.keypoint_ap >= keypoints
    assert row.mask_iou is not None and row.mask_iou >= masks


def test_a_preset_looks_as_often_as_the_one_that_is_to_be_better(presets: dict[str, Comparison]) -> None:
    assert presets["accurate"].detections == 1
    assert presets["balanced"].detections <= 0.4 and presets["fast"].detections <= 0.4


def test_ids_are_measured_in_two_ways(presets: dict[str, Comparison], beginning: Path) -> None:
    config = load_config(CONFIGS / "balanced.yaml", ["masks.model=null"], [str(beginning / "clip.avi")])
    scores, _, _ = evaluate_mot_video(config, beginning / "gt.txt")
    assert scores == presets["balanced"].scores
