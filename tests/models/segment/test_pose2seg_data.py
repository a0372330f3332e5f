"""Pose2Seg's templates on labelled people: what a mask loses on its way through the square of 64 pixels."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from models.segment.affine_align import SQUARE
from models.segment.pose2seg_task import Pose2SegSegmenter
from models.segment.pose_templates import load_templates
from models.tasks import Bool, Float, Image

pytestmark = pytest.mark.data


def labelled() -> COCO:
    """The labels of the development set; skips the test where there are none."""
    folder = Path(os.environ.get("PEOPLESTREAM_DATA", Path(__file__).parents[4] / "shared" / "data"))
    path = folder / "coco_dev" / "person_keypoints_val_dev.json"
    if not path.exists():
        pytest.skip(f"no labelled data at {path}; PEOPLESTREAM_DATA names another folder")
    return COCO(str(path))


def overlap(segmenter: Pose2SegSegmenter, truth: Bool, keypoints: Float, box: Float) -> float:
    """IoU with `truth`, bool [H, W], of what the segmenter makes of a picture of it."""
    picture = np.where(truth[..., None], 255, 0).astype(np.uint8).repeat(3, -1)
    ((window,),) = segmenter([picture], [box[None]], [keypoints[None]])
    mask = np.zeros_like(truth)
    if window is not None:
        (x, y), (height, width) = window.origin, window.bitmap.shape
        mask[y : y + height, x : x + width] = window.bitmap
    return float((mask & truth).sum() / (mask | truth).sum())


def see_white(pixels: Image) -> tuple[Float, ...]:
    """A backbone whose features are how bright it is, in squares of four pixels."""
    bright = [cv2.resize(image[..., 1], (128, 128), interpolation=cv2.INTER_AREA) for image in pixels]
    return (np.stack(bright)[..., None].astype(np.float32),)


def trust_white(features: Float, skeletons: Float) -> tuple[Float, ...]:
    """A segment network that takes bright features for the person, as surely as they are bright."""
    assert features.shape[1:3] == skeletons.shape[2:] == (SQUARE, SQUARE)
    share = np.clip(features[..., 0] / 255, 1e-3, 1 - 1e-3)
    logits = np.log(share / (1 - share))
    return (np.stack([-logits, logits], 1) / 2,)


def test_the_square_loses_too_much_of_real_people() -> None:
    data = labelled()
    segmenter = Pose2SegSegmenter(see_white, trust_white, load_templates())
    found = []
    for person in data.dataset["annotations"]:
        if person["num_keypoints"] and not person["iscrowd"]:
            x, y, width, height = person["bbox"]
            keypoints = np.array(person["keypoints"], np.float32).reshape(17, 3)
            box = np.array([x, y, x + width, y + height], np.float32)
            found.append(overlap(segmenter, data.annToMask(person) > 0, keypoints, box))
    print(f"{len(found)} people, mean IoU {np.mean(found):.3f}")  # noqa: T201
    assert len(found) == 157
    assert np.mean(found) > 0.85
