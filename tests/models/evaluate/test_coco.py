"""COCO scores: perfect answers score one, wrong ones do not, and bad labels are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from models.errors import LabelsError
from models.evaluate.coco import CocoPersons, ImageResult

BOXES = ((20, 10, 40, 80), (90, 30, 50, 60))
"""x, y, width, height of the two persons in the only image."""


def keypoints(box: tuple[int, int, int, int]) -> np.ndarray[Any, np.dtype[np.float32]]:
    x, y, width, height = box
    places = np.random.default_rng(x).uniform((x, y), (x + width, y + height), (17, 2))
    return np.column_stack([places, np.full(17, 2.0)]).astype(np.float32)


def bitmap(box: tuple[int, int, int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    x, y, width, height = box
    image = np.zeros((120, 160), np.uint8, order="F")
    image[y : y + height, x : x + width // 2] = 1
    return image


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A folder with `1.png` and `labels.json`."""
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((120, 160, 3), np.uint8))
    annotations = []
    for number, box in enumerate(BOXES, start=1):
        encoded = rle.encode(bitmap(box))
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": 0,
                "area": float(bitmap(box).sum()),
                "bbox": list(box),
                "keypoints": keypoints(box).ravel().tolist(),
                "num_keypoints": 17,
                "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode()},
            }
        )
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 160, "height": 120}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return tmp_path


def answer(shift: float = 0.0) -> ImageResult:
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in BOXES], np.float32) + shift
    points = np.stack([keypoints(box) for box in BOXES]) + np.array([shift, shift, 0], np.float32)
    moved = [np.asfortranarray(np.roll(bitmap(box), round(shift), (0, 1))) for box in BOXES]
    masks = [rle.encode(one) for one in moved]
    return ImageResult(1, boxes, np.array([0.9, 0.8], np.float32), points, masks)


def test_a_perfect_answer_does_not_score_one(labels: Path) -> None:
    scores = CocoPersons(labels / "labels.json", labels).evaluate([answer()])
    for kind in ("box", "keypoints", "masks"):
        assert (scores[kind].AP, scores[kind].AP50, scores[kind].AR) == (1.0, 1.0, 1.0)


def test_a_shifted_answer_scores_as_well_as_a_perfect_one(labels: Path) -> None:
    scores = CocoPersons(labels / "labels.json", labels).evaluate([answer(shift=8)])
    for kind in ("box", "keypoints", "masks"):
        assert scores[kind].AP < 0.8


def test_finding_nobody_breaks_the_evaluation(labels: Path) -> None:
    nobody = ImageResult(1, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 17, 3), np.float32), [])
    scores = CocoPersons(labels / "labels.json", labels).evaluate([nobody])
    assert {kind: score.AP for kind, score in scores.items()} == {"box": 0, "keypoints": 0, "masks": 0}


def test_kinds_that_nobody_computed_are_scored_as_failures(labels: Path) -> None:
    given = answer()
    scores = CocoPersons(labels / "labels.json", labels).evaluate([ImageResult(1, given.boxes, given.scores)])
    assert list(scores) == ["box"]


def test_images_that_were_left_out_count_as_missed_or_are_gone_for_good(labels: Path) -> None:
    truth = CocoPersons(labels / "labels.json", labels)
    nothing = truth.only(())
    assert nothing.images == () and nothing.evaluate([answer()])["box"].AP == -1
    assert truth.evaluate([answer()])["box"].AP == 1.0


def test_a_person_without_a_mask_shifts_the_masks_of_the_others(labels: Path) -> None:
    given = answer()
    assert given.masks is not None
    partial = ImageResult(1, given.boxes, given.scores, masks=[None, given.masks[1]])
    assert CocoPersons(labels / "labels.json", labels).evaluate([partial])["masks"].AR == 0.5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not json", "not a COCO annotation file"),
        ("[]", "not a COCO annotation file"),
        ('{"images": []}', "needs images, annotations and categories"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
        (
            '{"images": [{"id": 1, "file_name": "gone.jpg"}], "annotations": [], "categories": []}',
            "first gone.jpg",
        ),
    ],
)
def test_bad_labels_end_in_a_traceback(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(LabelsError, match=says):
        CocoPersons(tmp_path / "labels.json", tmp_path)


def test_missing_labels_end_in_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot read the annotations"):
        CocoPersons(tmp_path / "nowhere.json", tmp_path)
