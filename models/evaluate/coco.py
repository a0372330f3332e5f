"""Person detection, keypoints and masks on COCO's ground truth, scored by pycocotools."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from models.errors import LabelsError
from models.tasks import Float

PERSON = 1
"""COCO's category id of persons."""


@dataclass(frozen=True, slots=True)
class Scores:
    """COCO's AP over IoU (or OKS) .50:.95, AP at .50 and AR, all areas; fractions; -1 without any ground truth."""

    AP: float
    AP50: float
    AR: float


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """What was found in one image.

    Attributes:
        boxes: float32 [N, 4], x1, y1, x2, y2. scores: float32 [N].
        keypoints: float32 [N, 17, 3] or None.
        masks: N COCO RLE dictionaries of the whole image (None for a person without one), or None.
        mask_scores: float32 [N] that rank the masks; `scores` where None.
    """

    image_id: int
    boxes: Float
    scores: Float
    keypoints: Float | None = None
    masks: Sequence[dict[str, Any] | None] | None = None
    mask_scores: Float | None = None


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image of the data set and where it lies."""

    id: int
    path: Path


class CocoPersons:
    """The ground truth of one annotation file."""

    def __init__(self, annotations: Path, images: Path) -> None:
        """Read `annotations` (a COCO person_keypoints JSON) of the pictures in the folder `images`.

        Raises:
            LabelsError: one of the two is missing or not what it should be.
        """
        try:
            content = json.loads(annotations.read_bytes())
            content["images"], content["annotations"], content["categories"]
        except OSError as error:
            raise LabelsError(f"cannot read the annotations {annotations}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise LabelsError(
                f"{annotations} is not a COCO annotation file: it needs images, annotations and categories"
            ) from error
        self._index(content)
        self.images = tuple(CocoImage(image["id"], images / image["file_name"]) for image in content["images"])
        absent = [image.path.name for image in self.images if not image.path.is_file()]
        if not self.images:
            raise LabelsError(f"{annotations} lists no image")
        if absent:
            raise LabelsError(
                f"{len(absent)} of the {len(self.images)} images of {annotations} are not in {images}, "
                f"first {absent[0]}"
            )

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self:
        """Ground truth that is in memory, in the form of such a file; its images need no pictures."""
        persons = cls.__new__(cls)
        persons._index(content)
        persons.images = tuple(CocoImage(image["id"], Path()) for image in content["images"])
        return persons

    def only(self, images: Sequence[CocoImage]) -> Self:
        """The same ground truth, of these of its images."""
        part = copy.copy(self)
        part.images = tuple(images)
        return part

    def evaluate(self, results: Sequence[ImageResult]) -> dict[str, Scores]:
        """Scores by kind: "box", "keypoints" where keypoints were given, "masks" where masks were given."""
        rows = {"box": list(_boxes(results)), "keypoints": list(_keypoints(results)), "masks": list(_masks(results))}
        given = {
            "box": True,
            "keypoints": any(result.keypoints is not None for result in results),
            "masks": any(result.masks is not None for result in results),
        }
        kinds = {"box": "bbox", "keypoints": "keypoints", "masks": "segm"}
        return {name: self._score(rows[name], kinds[name]) for name in kinds if given[name]}

    def _index(self, content: dict[str, Any]) -> None:
        self._truth = COCO()
        self._truth.dataset = content
        with _quiet():
            self._truth.createIndex()

    def _score(self, rows: list[dict[str, Any]], kind: str) -> Scores:
        if not rows:
            return Scores(0.0, 0.0, 0.0)
        with _quiet():
            evaluation = COCOeval(self._truth, self._truth.loadRes(rows), kind)
            evaluation.params.catIds = [PERSON]
            evaluation.params.imgIds = [image.id for image in self.images]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        average_recall = (
            5 if kind == "keypoints" else 8
        )  # COCOeval's order: ten figures for keypoints, twelve for boxes
        return Scores(*(round(float(evaluation.stats[i]), 4) for i in (0, 1, average_recall)))


def _boxes(results: Sequence[ImageResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        for (x1, y1, x2, y2), score in zip(result.boxes.tolist(), result.scores.tolist(), strict=True):
            yield _row(result, score) | {"bbox": [x1, y1, x2 - x1, y2 - y1]}


def _keypoints(results: Sequence[ImageResult]) -> Iterator[dict[str, Any]]:
    """Keypoint rows; a person's score is its box score times the mean of its keypoint scores, as the field does it."""
    for result in results:
        if result.keypoints is None:
            continue
        for keypoints, score in zip(result.keypoints, result.scores.tolist(), strict=True):
            yield _row(result, score * float(keypoints[:, 2].mean())) | {
                "keypoints": np.column_stack([keypoints[:, :2], np.ones(len(keypoints))]).ravel().tolist()
            }


def _masks(results: Sequence[ImageResult]) -> Iterator[dict[str, Any]]:
    for result in results:
        if result.masks is None:
            continue
        scores = result.scores if result.mask_scores is None else result.mask_scores
        for mask, score in zip(result.masks, scores.tolist(), strict=True):
            if mask is not None:
                yield _row(result, score) | {"segmentation": mask}


def _row(result: ImageResult, score: float) -> dict[str, Any]:
    return {"image_id": result.image_id, "category_id": PERSON, "score": score}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow the tables that pycocotools prints; the figures are read from `stats`."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
