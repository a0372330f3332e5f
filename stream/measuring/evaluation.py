"""Labelled data through the code that runs on streams: pictures for COCO, a video or detections for MOT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from pycocotools import mask as rle

from models.errors import LabelsError
from models.evaluate.coco import CocoImage, CocoPersons, ImageResult, Scores
from models.evaluate.mot import (
    MotRows,
    MotScores,
    MotSequence,
    evaluate_mot,
    read_detections,
    read_ground_truth,
    read_sequence_info,
)
from models.zoo import load_zoo
from stream.assembly import Assembly, assemble
from stream.config import Config
from stream.metrics import Metrics
from stream.pipeline import Pipeline
from stream.tracking import Tracker
from stream.types import FrameResult, Mask, People, Polygon

T = TypeVar("T")

DEFAULT_RATE = 30.0
"""Frames per second of detections beside which no seqinfo.ini lies."""


def evaluate_coco(
    config: Config, truth: CocoPersons, progress: Callable[[Iterable[CocoImage]], Iterable[CocoImage]] = iter
) -> tuple[dict[str, Scores], Assembly]:
    """Scores of the configured networks on `truth`, by kind; `progress` wraps the iteration over its images.

    Raises:
        LabelsError: an image cannot be read.
    """
    assembly = assemble(config, Metrics())
    return coco_scores(assembly, config, truth, progress), assembly


def coco_scores(
    assembly: Assembly,
    config: Config,
    truth: CocoPersons,
    progress: Callable[[Iterable[CocoImage]], Iterable[CocoImage]] = iter,
) -> dict[str, Scores]:
    """Scores of networks that are ready, those of `config`; otherwise as `evaluate_coco`."""
    return truth.evaluate([_look_at(image, assembly, config) for image in progress(truth.images)])


def evaluate_mot_video(config: Config, ground_truth: Path) -> tuple[MotScores, float, Assembly]:
    """Scores of the one stream of `config` against a MOT ground truth, and its frames per second, end to end."""
    truth = read_ground_truth(ground_truth)
    results: list[FrameResult] = []
    with Pipeline(config, on_result=results.append) as pipeline:
        summary = pipeline.run()
    (stream,) = summary.streams
    if stream.error:
        raise LabelsError(f"the video could not be watched to its end: {stream.error}")
    rows = MotRows.of((result.people.ids, result.people.boxes) for result in results)
    return evaluate_mot(MotSequence(truth, rows, len(results))), summary.fps, pipeline.assembly


def evaluate_mot_detections(
    config: Config, detections: Path, ground_truth: Path, fps: float | None
) -> tuple[MotScores, float]:
    """Scores of the tracker alone on detections in MOT format, and its frames per second.

    Args:
        config: its part `track` counts.
        detections, ground_truth: MOT files.
        fps: frame rate; None for that of a seqinfo.ini beside either file or in the folder above it.
    """
    found, truth = read_detections(detections), read_ground_truth(ground_truth)
    rate = fps or _rate_near(detections, ground_truth)
    frames = int(max(found.frames.max(initial=0), truth.frames.max(initial=0)))
    tracker = Tracker(config.track)
    far = np.ceil(found.boxes[:, 2:].max(axis=0, initial=1)).astype(int)
    tracked: list[People] = []
    start = time.perf_counter()
    for number, rows in enumerate(found.per_frame(frames)):
        people = People.untracked(
            rows.boxes.astype(np.float32), rows.scores.astype(np.float32), frame_size=(int(far[1]), int(far[0]))
        )
        tracked.append(tracker.update(people, number / rate))
    seconds = time.perf_counter() - start
    results = MotRows.of((people.ids, people.boxes) for people in tracked)
    return evaluate_mot(MotSequence(truth, results, frames)), frames / seconds


def _look_at(image: CocoImage, assembly: Assembly, config: Config) -> ImageResult:
    pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise LabelsError(f"{image.path}: this is not an image that can be read")
    gives = load_zoo().entry(config.detector.model, "detector").gives
    with_keypoints = config.pose.model is not None or "keypoints" in gives
    with_masks = config.masks.model is not None or "masks" in gives
    (people,) = assembly.perception([np.asarray(pixels, np.uint8)], [with_masks])
    masks = [_whole_image(mask, people.frame_size) for mask in people.masks]
    return ImageResult(
        image.id,
        people.boxes,
        people.scores,
        people.keypoints if with_keypoints else None,
        masks if with_masks else None,
    )


def _whole_image(mask: Mask | Polygon | None, size: tuple[int, int]) -> dict[str, Any] | None:
    """COCO's dictionary for a mask of the whole image."""
    if mask is None:
        return None
    encoded: dict[str, Any] = rle.encode(np.asfortranarray(mask.decode(*size), dtype=np.uint8))
    return encoded


def _rate_near(*files: Path) -> float:
    for folder in [parent for file in files for parent in (file.parent, file.parent.parent)]:
        if (folder / "seqinfo.ini").is_file():
            return read_sequence_info(folder / "seqinfo.ini").fps
    return DEFAULT_RATE
