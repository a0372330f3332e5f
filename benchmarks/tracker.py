"""Our tracker beside others: the same detections, the same run, accuracy and microseconds a frame.

    python benchmarks/tracker.py DATA [--repeat N] [--json]

DATA holds sequences of MOT15: <sequence>/{gt/gt.txt,det/det.txt,seqinfo.ini}. A tracker that is not installed is named
and left out; to have all, in an environment of their own (norfair asks for an older numpy but runs with this one):

    pip install -e . trackers==2.6.1 && pip install --no-deps norfair==2.3.0

Every tracker has one setting for all sequences. What is timed is its `update` alone, its own input types made before;
the repetitions of all trackers are interleaved, and of each the fastest counts.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models.evaluate.mot import (
    MotRows,
    MotScores,
    MotSequence,
    evaluate_mot,
    read_detections,
    read_ground_truth,
    read_sequence_info,
)
from stream.config import TrackConfig
from stream.tracking import Tracker
from stream.types import People

Output = tuple[np.ndarray, np.ndarray]
"""Ids [n] and boxes [n, 4] of one frame."""


@dataclass(frozen=True)
class Contender:
    """A tracker: how it is made, how its input is made of boxes and scores, its step, and how its output is read."""

    name: str
    make: Callable[[], Any]
    prepare: Callable[[np.ndarray, np.ndarray], Any]
    step: Callable[[Any, Any, float], Any]
    read: Callable[[Any, Any], Output]


@dataclass(frozen=True)
class Sequence:
    """Frames of a sequence, boxes [n, 4] and scores [n] each, with the ground truth where there is one."""

    fps: float
    frames: list[tuple[np.ndarray, np.ndarray]]
    truth: MotRows | None = None


def ours() -> Contender:
    """Our tracker with its default settings."""
    return Contender(
        "peoplestream",
        lambda: Tracker(TrackConfig()),
        lambda boxes, scores: People.untracked(boxes, scores, frame_size=(1080, 1920)),
        lambda tracker, people, at: tracker.update(people, at),
        lambda people, _: (people.ids, people.boxes),
    )


def from_trackers(name: str, **options: Any) -> Contender:
    """A tracker of the package `trackers` with its defaults."""
    trackers, supervision = importlib.import_module("trackers"), importlib.import_module("supervision")

    def read(people: Any, _: Any) -> Output:
        ids = np.zeros(0, np.int64) if people.tracker_id is None else people.tracker_id
        return ids[ids >= 0], people.xyxy[ids >= 0]

    return Contender(
        f"trackers {importlib.metadata.version('trackers')} {name.removesuffix('Tracker')}",
        lambda: getattr(trackers, name)(**options),
        lambda boxes, scores: supervision.Detections(xyxy=boxes, confidence=scores),
        lambda tracker, detections, _: tracker.update(detections),
        read,
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
        f"norfair {importlib.metadata.version('norfair')} IoU, threshold {distance_threshold}",
        lambda: norfair.Tracker("iou", distance_threshold, initialization_delay=2),
        prepare,
        lambda tracker, detections, _: tracker.update(detections),
        read,
    )


def contenders(console: Console) -> list[Contender]:
    """Ours and all that are installed."""
    peers: list[Callable[[], Contender]] = [
        lambda: from_trackers("ByteTrackTracker"),
        lambda: from_trackers("BoTSORTTracker", enable_cmc=False),  # there are no pictures
        lambda: from_trackers("CBIoUTracker"),
        lambda: from_norfair(0.7),
        lambda: from_norfair(0.9),
    ]
    found, missing = [ours()], set()
    for peer in peers:
        try:
            found.append(peer())
        except ModuleNotFoundError as error:
            missing.add(error.name)
    if missing:
        console.print(f"Not installed, left out: {', '.join(sorted(map(str, missing)))}.", style="yellow")
    return found


def read_sequences(folder: Path) -> list[Sequence]:
    """All sequences in `folder`."""
    sequences = []
    for path in sorted(info.parent for info in folder.glob("*/seqinfo.ini")):
        info = read_sequence_info(path / "seqinfo.ini")
        detections = read_detections(path / "det/det.txt").per_frame(info.frames)
        frames = [(rows.boxes.astype(np.float32), rows.scores.astype(np.float32)) for rows in detections]
        sequences.append(Sequence(info.fps, frames, read_ground_truth(path / "gt/gt.txt")))
    if not sequences:
        raise SystemExit(f"{folder} holds no sequence: expected <sequence>/seqinfo.ini with det/det.txt and gt/gt.txt.")
    return sequences


def crowd(people: int, frames: int = 200) -> Sequence:
    """People who walk across each other in all directions, 25 frames per second."""
    random = np.random.default_rng(0)
    start, speed = random.uniform(0, (1800, 900), (people, 2)), random.normal(0, 40, (people, 2))
    height = random.uniform(60, 200, people)
    size = np.stack([0.4 * height, height], axis=1)
    rows = []
    for frame in range(frames):
        corner = start + speed * frame / 25 + random.normal(0, 1, (people, 2))
        boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        rows.append((boxes, random.uniform(0.5, 1, people).astype(np.float32)))
    return Sequence(25, rows)


def run(contender: Contender, sequence: Sequence) -> tuple[list[Output], float]:
    """The results of all frames, and the seconds that the updates took together."""
    tracker, results, seconds = contender.make(), [], 0.0
    for frame, (boxes, scores) in enumerate(sequence.frames):
        prepared = contender.prepare(boxes, scores)
        start = time.perf_counter()
        result = contender.step(tracker, prepared, frame / sequence.fps)
        seconds += time.perf_counter() - start
        results.append(contender.read(result, prepared))
    return results, seconds


def score(contender: Contender, sequences: list[Sequence]) -> MotScores:
    """Its accuracy over all sequences."""
    return evaluate_mot(
        *(
            MotSequence(sequence.truth, MotRows.of(run(contender, sequence)[0]), len(sequence.frames))
            for sequence in sequences
            if sequence.truth is not None
        )
    )


def speed(everybody: list[Contender], sequences: list[Sequence], repeat: int) -> list[float]:
    """Microseconds a frame of each, the fastest of `repeat` interleaved runs."""
    frames = sum(len(sequence.frames) for sequence in sequences)
    best = [float("inf")] * len(everybody)
    for _ in range(repeat):
        for n, contender in enumerate(everybody):
            seconds = sum(run(contender, sequence)[1] for sequence in sequences)
            best[n] = min(best[n], 1e6 * seconds / frames)
    return best


def main() -> None:
    """Prints the table, or with --json the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of MOT15 sequences")
    parser.add_argument("--repeat", type=int, default=3, help="timed runs of each tracker (default: 3)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")  # the peers' own
    console, notes = Console(), Console(stderr=True)

    everybody, sequences = contenders(notes), read_sequences(options.data)
    scores = [score(contender, sequences) for contender in everybody]
    public = speed(everybody, sequences, options.repeat)
    crowds = {people: speed(everybody, [crowd(people)], options.repeat) for people in (6, 100)}
    rows = [
        {"tracker": contender.name} | asdict(result) | {"us_per_frame": public[n]}
        | {f"us_per_frame_{people}_people": crowds[people][n] for people in crowds}
        for n, (contender, result) in enumerate(zip(everybody, scores, strict=True))
    ]  # fmt: skip
    if options.json:
        console.print_json(data=rows)
        return
    table = Table("tracker", "HOTA", "MOTA", "IDF1", "switches", "us/frame", *(f"us, {n} people" for n in crowds))
    for row in rows:
        accuracy = [f"{row[name]:.3f}" for name in ("HOTA", "MOTA", "IDF1")]
        times = [f"{value:.0f}" for name, value in row.items() if name.startswith("us_")]
        table.add_row(row["tracker"], *accuracy, str(row["id_switches"]), *times)
    console.print(table)


if __name__ == "__main__":
    main()
