"""Multiple-object tracking: MOT text files, and MOTA, IDF1 and HOTA through TrackEval.

A line is `frame, id, left, top, width, height, confidence`; what follows is not read. Frames are numbered from 1. In a
ground truth of MOT15 the seventh value is a flag, and people flagged 0 are ignored.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from models.errors import LabelsError

Double: TypeAlias = npt.NDArray[np.float64]
Int: TypeAlias = npt.NDArray[np.int64]

_COLUMNS = 7


@dataclass(frozen=True, slots=True, eq=False)
class MotRows:
    """Boxes of a whole sequence as parallel arrays of N rows, sorted by frame.

    Attributes:
        frames: int64 [N], number of the frame, from 1.
        ids: int64 [N], of the person; -1 in detections.
        boxes: float64 [N, 4], x1, y1, x2, y2 in pixels.
        scores: float64 [N], the detector's confidence.
    """

    frames: Int
    ids: Int
    boxes: Double
    scores: Double

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last_frame(self) -> int:
        """Number of the last frame that has a row, 0 without any."""
        return int(self.frames.max(initial=0))

    @staticmethod
    def of(people: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]]) -> MotRows:
        """Rows of a tracker's results: for each frame in turn, from frame 1 on, the ids [n] and the boxes [n, 4]."""
        ids, boxes = [np.zeros(0, np.int64)], [np.zeros((0, 4))]
        for frame_ids, frame_boxes in people:
            ids.append(np.asarray(frame_ids, np.int64))
            boxes.append(np.asarray(frame_boxes, np.float64).reshape(-1, 4))
        frames = np.repeat(np.arange(len(ids)), [len(i) for i in ids])
        return MotRows(frames, np.concatenate(ids), np.concatenate(boxes), np.ones(len(frames)))

    def per_frame(self, frames: int) -> Iterator[MotRows]:
        """The rows of frame 1, 2, ... `frames`, empty ones too."""
        starts = np.searchsorted(self.frames, np.arange(1, frames + 2))
        for start, end in pairwise(starts):
            yield self._take(slice(start, end))

    def _take(self, rows: slice | npt.NDArray[np.bool_]) -> MotRows:
        return MotRows(self.frames[rows], self.ids[rows], self.boxes[rows], self.scores[rows])


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What `seqinfo.ini` says: `fps` in frames per second, `frames` in the sequence, `width` and `height` in pixels."""

    fps: float
    frames: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class MotSequence:
    """What is compared: the `results` of a tracker with the `truth`, over `frames` frames.

    Raises:
        LabelsError: a row lies behind the last frame, or a person stands twice in a frame.
    """

    truth: MotRows
    results: MotRows
    frames: int

    def __post_init__(self) -> None:
        for name, rows in (("ground truth", self.truth), ("results", self.results)):
            if rows.last_frame > self.frames:
                raise LabelsError(
                    f"the {name} reach frame {rows.last_frame}, but the sequence has {self.frames} frames"
                )
            keys, counts = np.unique(np.stack([rows.frames, rows.ids], axis=1), axis=0, return_counts=True)
            if (counts > 1).any():
                frame, person = keys[counts > 1][0]
                raise LabelsError(f"in the {name} person {person} stands more than once in frame {frame}")


@dataclass(frozen=True, slots=True)
class MotScores:
    """MOTA, IDF1 and HOTA as fractions (1 is perfect; MOTA may be negative), and how often a person changed id."""

    frames: int
    MOTA: float
    IDF1: float
    HOTA: float
    id_switches: int


def read_detections(path: Path) -> MotRows:
    """The detections of a MOT file; the ids are read too, -1 where the file has none.

    Raises:
        LabelsError: the file cannot be read, or a line is malformed; the message names file and line.
    """
    return _read(path)


def read_ground_truth(path: Path) -> MotRows:
    """The ground truth of a MOT15 file without the people flagged 0, as TrackEval does for that benchmark.

    Raises:
        LabelsError: the file cannot be read, or a line is malformed; the message names file and line.
    """
    rows = _read(path)
    return rows._take(rows.scores != 0)


def read_sequence_info(path: Path) -> SequenceInfo:
    """What the `seqinfo.ini` of a MOTChallenge sequence says.

    Raises:
        LabelsError: the file cannot be read, or a value is missing or not a number.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read_string("\n".join(_lines(path)), source=str(path))
        part = parser["Sequence"]
        return SequenceInfo(
            float(part["frameRate"]), int(part["seqLength"]), int(part["imWidth"]), int(part["imHeight"])
        )
    except (configparser.Error, KeyError, ValueError) as error:
        raise LabelsError(
            f"{path}: expected [Sequence] with numbers for frameRate, seqLength, imWidth and imHeight ({error})"
        ) from error


def evaluate_mot(*sequences: MotSequence) -> MotScores:
    """MOTA, IDF1 and HOTA over all `sequences` together, counted as TrackEval combines them (not averaged).

    Sources: CLEAR MOT (Bernardin and Stiefelhagen 2008), Identity (Ristani et al. 2016), HOTA (Luiten et al. 2021, mean
    over the localisation thresholds .05 to .95); TrackEval's classes count, nothing is written to disk.
    """
    from trackeval.metrics import CLEAR, HOTA, Identity  # late: its import takes more than a second

    data = [_trackeval_data(sequence) for sequence in sequences]
    quiet = {"PRINT_CONFIG": False}
    clear, identity, hota = (
        metric.combine_sequences({n: metric.eval_sequence(one) for n, one in enumerate(data)})
        for metric in (CLEAR(quiet), Identity(quiet), HOTA())
    )
    return MotScores(
        frames=sum(sequence.frames for sequence in sequences),
        MOTA=float(clear["MOTA"]),
        IDF1=float(identity["IDF1"]),
        HOTA=float(np.mean(hota["HOTA"])),
        id_switches=int(clear["IDSW"]),
    )


def _read(path: Path) -> MotRows:
    """All rows of a MOT file, sorted by frame; rows of one frame stay in the order of the file."""
    rows = [_parse(line, f"{path}:{number}") for number, line in enumerate(_lines(path), start=1) if line.strip()]
    table = np.array(rows, np.float64).reshape(-1, _COLUMNS)
    table = table[np.argsort(table[:, 0], kind="stable")]
    boxes = np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)
    return MotRows(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), boxes, table[:, 6])


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise LabelsError(f"cannot read {path}: {error.strerror}") from error


def _parse(line: str, where: str) -> list[float]:
    """The first seven numbers of a line."""
    values, shown = line.split(","), repr(line.strip()[:100])
    if len(values) < _COLUMNS:
        raise LabelsError(
            f"{where}: expected at least {_COLUMNS} values (frame, id, left, top, width, height, confidence) "
            f"with commas between, found {len(values)}"
        )
    try:
        numbers = [float(value) for value in values[:_COLUMNS]]
    except ValueError as error:
        raise LabelsError(f"{where}: expected numbers, found {shown}") from error
    if not np.isfinite(numbers).all():
        raise LabelsError(f"{where}: expected finite numbers, found {shown}")
    if numbers[0] < 1 or numbers[0] % 1 or numbers[1] % 1:
        raise LabelsError(f"{where}: frame and id must be whole numbers, the frame at least 1, found {shown}")
    if min(numbers[4:6]) <= 0:
        raise LabelsError(f"{where}: width and height must be above 0, found {shown}")
    return numbers


def _trackeval_data(sequence: MotSequence) -> dict[str, Any]:
    """One sequence the way TrackEval's metrics take it: ids from 0 without gaps, and the IoU of all pairs per frame."""
    truth_names, truth_ids = np.unique(sequence.truth.ids, return_inverse=True)
    result_names, result_ids = np.unique(sequence.results.ids, return_inverse=True)
    truth = MotRows(sequence.truth.frames, truth_ids, sequence.truth.boxes, sequence.truth.scores)
    results = MotRows(sequence.results.frames, result_ids, sequence.results.boxes, sequence.results.scores)
    pairs = list(zip(truth.per_frame(sequence.frames), results.per_frame(sequence.frames), strict=True))
    return {
        "num_timesteps": sequence.frames,
        "num_gt_ids": len(truth_names),
        "num_tracker_ids": len(result_names),
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(results),
        "gt_ids": [one.ids for one, _ in pairs],
        "tracker_ids": [one.ids for _, one in pairs],
        "similarity_scores": [_iou(one.boxes, other.boxes) for one, other in pairs],
    }


def _iou(a: Double, b: Double) -> Double:
    """Intersection over union, float64 [A, B], of boxes x1, y1, x2, y2: float64 [A, 4] and [B, 4]."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both: Double = np.clip(high - low, 0, None).prod(axis=2)
    area_a, area_b = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    union: Double = area_a[:, None] + area_b[None, :] - both
    return both / np.maximum(union, np.finfo(np.float64).tiny)
