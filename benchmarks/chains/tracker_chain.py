"""One tracker in its own environment, on detections from a file, as often as it is told; for `benchmarks/tracker.py`.

Usage: python tracker_chain.py NAME DETECTIONS.npz

For each line on its input, `GROUP RESULTS.npz`, it follows all sequences of that group with a new tracker each, writes
who was where and what each `update` took, and answers with a line. Only `update` is timed, its input made before.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Output = tuple[np.ndarray, np.ndarray]
"""Ids [n] and boxes [n, 4] of one frame."""


@dataclass(frozen=True)
class Contender:
    """A tracker: how it is made, how its input is made of boxes and scores, its step, and how its output is read."""

    package: str
    make: Callable[[], Any]
    prepare: Callable[[np.ndarray, np.ndarray], Any]
    step: Callable[[Any, Any, float], Any]
    read: Callable[[Any, Any], Output]


def ours() -> Contender:
    """Our tracker with its default settings."""
    config, tracking, types = map(importlib.import_module, ("stream.config", "stream.tracking", "stream.types"))
    return Contender(
        "",
        lambda: tracking.Tracker(config.TrackConfig()),
        lambda boxes, scores: types.People.untracked(boxes, scores, frame_size=(1080, 1920)),
        lambda tracker, people, at: tracker.update(people, at),
        lambda people, _: (people.ids, people.boxes),
    )


def from_trackers(name: str, **options: Any) -> Contender:
    """A tracker of the package `trackers` with its defaults."""
    trackers, supervision = importlib.import_module("trackers"), importlib.import_module("supervision")
    return Contender(
        "trackers",
        lambda: getattr(trackers, name)(**options),
        lambda boxes, scores: supervision.Detections(xyxy=boxes, confidence=scores),
        lambda tracker, detections, _: tracker.update(detections),
        _of_detections,
    )


def from_supervision() -> Contender:
    """ByteTrack of the package `supervision` with its defaults."""
    supervision = importlib.import_module("supervision")
    return Contender(
        "supervision",
        supervision.ByteTrack,
        lambda boxes, scores: supervision.Detections(
            xyxy=boxes, confidence=scores, class_id=np.zeros(len(boxes), np.int64)
        ),
        lambda tracker, detections, _: tracker.update_with_detections(detections),
        _of_detections,
    )


def from_norfair(distance_threshold: float) -> Contender:
    """The tracker of norfair with IoU; only people seen in the frame count, as this gives it the better figures."""
    norfair = importlib.import_module("norfair")

    def prepare(boxes: np.ndarray, scores: np.ndarray) -> list[Any]:
        return [
            norfair.Detection(points=box.reshape(2, 2), scores=np.array([score, score]))
            for box, score in zip(boxes, scores, strict=True)
        ]

    def read(people: list[Any], detections: list[Any]) -> Output:
        now = {id(detection) for detection in detections}
        seen = [person for person in people if id(person.last_detection) in now]
        boxes = [person.estimate.reshape(4) for person in seen]
        return np.array([person.id for person in seen], np.int64), np.array(boxes).reshape(-1, 4)

    return Contender(
        "norfair",
        lambda: norfair.Tracker("iou", distance_threshold, initialization_delay=2),
        prepare,
        lambda tracker, detections, _: tracker.update(detections),
        read,
    )


def from_boxmot(name: str) -> Contender:
    """A tracker of boxmot with its defaults; the picture it asks for is black."""
    boxmot, picture = importlib.import_module("boxmot"), np.zeros((1080, 1920, 3), np.uint8)
    return Contender(
        "boxmot",
        getattr(boxmot, name),
        lambda boxes, scores: np.column_stack([boxes, scores, np.zeros(len(boxes))]).astype(np.float32),
        lambda tracker, rows, _: tracker.update(rows, picture),
        lambda rows, _: (
            np.asarray(rows).reshape(-1, 8)[:, 4].astype(np.int64),
            np.asarray(rows).reshape(-1, 8)[:, :4],
        ),
    )


def from_sort() -> Contender:
    """Classic SORT of its authors with its defaults."""
    sort_tracker = importlib.import_module("sort_tracker")
    return Contender(
        "sort-tracker-py",
        sort_tracker.Sort,
        lambda boxes, scores: np.column_stack([boxes, scores]).astype(np.float64),
        lambda tracker, rows, _: tracker.update(rows),
        lambda rows, _: (rows[:, 5].astype(np.int64), rows[:, :4]),
    )


def _of_detections(people: Any, _: Any) -> Output:
    ids = np.zeros(0, np.int64) if people.tracker_id is None else people.tracker_id
    return ids[ids >= 0], people.xyxy[ids >= 0]


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "peoplestream": ours,
    "trackers ByteTrack": lambda: from_trackers("ByteTrackTracker"),
    "trackers BoT-SORT": lambda: from_trackers("BoTSORTTracker", enable_cmc=False),  # there are no pictures
    "trackers C-BIoU": lambda: from_trackers("CBIoUTracker"),
    "norfair, IoU .7": lambda: from_norfair(0.7),
    "norfair, IoU .9": lambda: from_norfair(0.9),
    "supervision ByteTrack": from_supervision,
    "boxmot ByteTrack": lambda: from_boxmot("ByteTrack"),
    "boxmot OC-SORT": lambda: from_boxmot("OcSort"),
    "classic SORT": from_sort,
}


def follow(contender: Contender, sequence: dict[str, np.ndarray]) -> tuple[list[Output], list[float]]:
    """Who is where in each frame of a sequence, and the seconds of each update."""
    tracker, results, seconds = contender.make(), [], []
    ends = np.cumsum(sequence["counts"])
    frames = zip(np.split(sequence["boxes"], ends[:-1]), np.split(sequence["scores"], ends[:-1]), strict=True)
    for number, (boxes, scores) in enumerate(frames):
        prepared = contender.prepare(boxes, scores)
        start = time.perf_counter()
        result = contender.step(tracker, prepared, number / float(sequence["fps"]))
        seconds.append(time.perf_counter() - start)
        results.append(contender.read(result, prepared))
    return results, seconds


def main() -> None:
    """Answers each line until there are no more."""
    warnings.filterwarnings("ignore")  # the peers' own
    name, file = sys.argv[1:]
    answer, data = sys.stdout, dict(np.load(file))
    with contextlib.redirect_stdout(sys.stderr):  # some peers say on it how they are set
        contender = CONTENDERS[name]()
        print(importlib.metadata.version(contender.package) if contender.package else "", file=answer, flush=True)
        for line in sys.stdin:
            group, results = line.rstrip("\n").split("\t")
            sequences = sorted({key.rpartition("/")[0] for key in data if key.startswith(f"{group}/")})
            out, seconds = [], []
            for sequence in sequences:
                parts = {part: data[f"{sequence}/{part}"] for part in ("fps", "counts", "boxes", "scores")}
                rows, took = follow(contender, parts)
                out += rows
                seconds += took
            np.savez(
                results,
                seconds=seconds,
                counts=[len(ids) for ids, _ in out],
                ids=np.concatenate([ids for ids, _ in out]),
                boxes=np.concatenate([np.asarray(boxes, np.float64).reshape(-1, 4) for _, boxes in out]),
            )
            print("done", file=answer, flush=True)


if __name__ == "__main__":
    main()
