"""Several configurations on one video, side by side: how fast each is, and what it loses against the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models.errors import LabelsError
from models.evaluate.agreement import Seen, keypoint_agreement, mask_agreement
from models.evaluate.mot import MotRows, MotScores, MotSequence, evaluate_mot, read_ground_truth
from stream.config import Config
from stream.pipeline import Pipeline
from stream.types import FrameResult

MASK_FRAMES = 10
"""Of so many frames one is taken to compare the masks, each of which is decoded for the whole frame."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One configuration beside the first one.

    Attributes:
        fps: frames per second, end to end. people: a frame. detections: calls of the detector per frame.
        scores: of the ids, where there is a ground truth.
        keypoint_ap: COCO's AP of the keypoints with those of the first configuration as the truth.
        mask_iou: mean intersection over union of the masks with those of the first one; None without masks.
    """

    name: str
    fps: float
    people: float
    detections: float
    scores: MotScores | None
    keypoint_ap: float
    mask_iou: float | None

    def as_json(self) -> dict[str, Any]:
        """Plain values, rounded."""
        scores = {} if self.scores is None else asdict(self.scores)
        row = {
            "name": self.name,
            "fps": self.fps,
            "people_per_frame": self.people,
            "detections_per_frame": self.detections,
            **{name: value for name, value in scores.items() if name != "frames"},
            "keypoint_ap": self.keypoint_ap,
            "mask_iou": self.mask_iou,
        }
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def compare(
    configs: Mapping[str, Config], ground_truth: Path | None, on_start: Callable[[str], None] = lambda _: None
) -> list[Comparison]:
    """Run each of `configs`, which watch one and the same video, and compare it with the first of them.

    Args:
        configs: by name.
        ground_truth: of the video, in the format of MOTChallenge.
        on_start: told the name of each before it runs.

    Raises:
        LabelsError: the ground truth cannot be read, or the video not be watched to its end.
    """
    truth = None if ground_truth is None else read_ground_truth(ground_truth)
    reference: list[FrameResult] = []
    rows = []
    for name, config in configs.items():
        on_start(name)
        results: list[FrameResult] = []
        with Pipeline(config, on_result=results.append) as pipeline:
            summary = pipeline.run()
            detections = pipeline.metrics.counted("detections", config.streams[0].id)
        if (error := summary.streams[0].error) is not None:
            raise LabelsError(f"the video could not be watched to its end: {error}")
        reference = reference or results
        if len(results) != len(reference):
            raise LabelsError(f"{name} delivered {len(results)} frames, the first one {len(reference)}")
        ids = MotRows.of((result.people.ids, result.people.boxes) for result in results)
        rows.append(
            Comparison(
                name,
                summary.fps,
                sum(len(result.people) for result in results) / len(results),
                detections / len(results),
                None if truth is None else evaluate_mot(MotSequence(truth, ids, len(results))),
                keypoint_agreement(_seen(reference), _seen(results)),
                _mask_iou(reference, results),
            )
        )
    return rows


def _seen(results: Sequence[FrameResult], *, masks: bool = False) -> list[Seen]:
    return [
        Seen(
            result.people.boxes,
            result.people.scores,
            result.people.keypoints,
            [result.people.mask(i) if masks else None for i in range(len(result.people))],
        )
        for result in results
    ]


def _mask_iou(reference: Sequence[FrameResult], results: Sequence[FrameResult]) -> float | None:
    if not any(result.people.masks for result in reference) or not any(result.people.masks for result in results):
        return None
    some = slice(None, None, MASK_FRAMES)
    return mask_agreement(_seen(reference[some], masks=True), _seen(results[some], masks=True))
