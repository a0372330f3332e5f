"""Gates: the accuracy of the tracker with its default settings must not fall below the committed figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
from tests.stream.tracking.scenes import crowd

DATA = Path(__file__).parents[4] / "shared" / "data" / "mot_dev"


def _made_up(seed: int, *, keypoints: bool, settings: TrackConfig) -> MotSequence:
    tracker, truth, results = Tracker(settings), [], []
    for time, found, ids, boxes in crowd(seed, keypoints=keypoints):
        people = tracker.update(found, time)
        truth.append((ids, boxes))
        results.append((people.ids, people.boxes))
    return MotSequence(MotRows.of(truth), MotRows.of(results), len(truth))


def _scores(*, keypoints: bool, settings: TrackConfig = TrackConfig()) -> MotScores:
    return evaluate_mot(*(_made_up(seed, keypoints=keypoints, settings=settings) for seed in range(4)))


def test_accuracy_on_made_up_crowds_does_not_fall() -> None:
    scores = _scores(keypoints=True)
    print(scores)
    assert scores.HOTA >= 0.70


def test_keypoints_do_not_cost_identities() -> None:
    print(_scores(keypoints=False))


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the labelled sequences of ../shared/data/mot_dev are not here")
def test_accuracy_on_six_real_sequences_does_not_fall() -> None:
    sequences = []
    for folder in sorted(path.parent for path in DATA.glob("*/seqinfo.ini")):
        info, tracker = read_sequence_info(folder / "seqinfo.ini"), Tracker(TrackConfig())
        results = []
        for frame, rows in enumerate(read_detections(folder / "det/det.txt").per_frame(info.frames)):
            found = People.untracked(
                rows.boxes.astype(np.float32), rows.scores.astype(np.float32), frame_size=(info.height, info.width)
            )
            people = tracker.update(found, frame / info.fps)
            results.append((people.ids, people.boxes))
        sequences.append(MotSequence(read_ground_truth(folder / "gt/gt.txt"), MotRows.of(results), info.frames))
    scores = evaluate_mot(*sequences)
    print(scores)
    assert scores.frames == 3451
    assert scores.HOTA >= 0.39
