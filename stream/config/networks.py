"""Options of the networks and of the tracker."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from stream.config.base import Fraction, Positive, Section

Backend = Annotated[
    Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "openvino", "torch"],
    Field(description="its runtime; auto: the fastest installed one that passes the parity check"),
]
Weights = Annotated[
    str,
    Field(
        min_length=1,
        description="pretrained: the zoo's, fetched where needed; random: none, to try how fast it is; or the path of "
        "your own file",
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "float16", "bfloat16", "int8"],
    Field(
        description="its arithmetic; auto: the lowest that keeps its accuracy; int8: after 'peoplestream models "
        "calibrate', which shows whether it does"
    ),
]


class DetectorConfig(Section):
    """Finding people."""

    model: Annotated[str, Field(description="name in the zoo: peoplestream models list")] = "yolox-tiny-humanart"
    weights: Weights = "pretrained"
    height: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 480
    width: Annotated[int, Field(ge=64, multiple_of=32, description="of the network's input, pixels")] = 640
    score: Annotated[
        Fraction, Field(description="lowest score of a detection; what becomes of low ones, the tracker decides")
    ] = 0.3
    nms_iou: Annotated[
        Fraction, Field(description="two boxes that overlap by more (intersection over union) are one person")
    ] = 0.65
    max_people: Annotated[int, Field(ge=1, description="people in one frame at most; the best are kept")] = 100
    every: Annotated[
        int,
        Field(
            ge=1,
            description="frames from one detection to the next; in between people are followed by their keypoints and "
            "motion, and a detection comes early when somebody gets lost or something moves elsewhere",
        ),
    ] = 1
    backend: Backend = "auto"
    precision: Precision = "auto"


class PoseConfig(Section):
    """Keypoints of the people found."""

    model: Annotated[
        str | None, Field(description="name in the zoo; null: no keypoints but those that the detector gives itself")
    ] = "rtmpose-s-halpe26"
    weights: Weights = "pretrained"
    every: Annotated[
        int,
        Field(
            ge=1,
            description="between detections, frames from one look at a person's keypoints to the next; in between they "
            "follow the picture",
        ),
    ] = 1
    still_every: Annotated[
        int,
        Field(
            ge=1,
            description="the same for somebody whose picture does not change; not less than every, or 1: as often",
        ),
    ] = 1
    oks_nms: Annotated[
        Fraction,
        Field(description="two people whose keypoints are more alike (OKS) are one person; 1: all are kept"),
    ] = 1.0
    flip_test: Annotated[
        bool, Field(description="look at everybody twice, once mirrored: a little more accurate at twice the time")
    ] = False
    backend: Backend = "auto"
    precision: Precision = "auto"

    @model_validator(mode="after")
    def _still_people_are_looked_at_less_often(self) -> Self:
        if 1 < self.still_every < self.every:
            raise PydanticCustomError(
                "still_every",
                "must not be less than pose.every, which is {every}; leave it out for as often",
                {"every": self.every, "at": ("still_every",)},
            )
        return self


class MasksConfig(Section):
    """Masks of the people found, for the streams that want them."""

    model: Annotated[
        str | None, Field(description="name in the zoo; null: no masks but those that the detector gives itself")
    ] = "blazepose-full"
    weights: Weights = "pretrained"
    every: Annotated[
        int,
        Field(
            ge=1, description="frames from one mask of a person to the next; in between its parts move with the limbs"
        ),
    ] = 1
    encoding: Annotated[
        Literal["rle", "polygon"],
        Field(description="as what they are sent and recorded: rle (exact) or polygon (outlines, half the bytes)"),
    ] = "rle"
    backend: Backend = "auto"
    precision: Precision = "auto"


class TrackConfig(Section):
    """Following people from frame to frame, for each stream alone."""

    high_score: Annotated[
        Fraction, Field(description="score from which a detection may begin a track and is matched to tracks first")
    ] = 0.65
    low_score: Annotated[
        Fraction, Field(description="score from which a detection may continue a track; below, it is ignored")
    ] = 0.1
    min_overlap: Annotated[
        Fraction,
        Field(gt=0, description="least overlap of a high detection with its track's box (IoU x squared height ratio)"),
    ] = 0.1
    min_overlap_low: Annotated[Fraction, Field(gt=0, description="the same for a low detection")] = 0.3
    keypoint_weight: Annotated[
        Fraction, Field(description="share of the keypoints (OKS) beside the boxes where people compete for a track")
    ] = 0.7
    confirm_frames: Annotated[
        int, Field(ge=1, description="frames in a row that a person must be seen in to be published")
    ] = 2
    lost_seconds: Annotated[Positive, Field(description="how long a person who is hidden keeps the id, seconds")] = 2.0
    predict_seconds: Annotated[
        float, Field(ge=0, description="how long a person who is hidden is published as predicted, seconds; 0: never")
    ] = 0.0
    max_tracks: Annotated[int, Field(ge=1, description="people remembered at most, the last seen; bounds memory")] = 300
    motion_noise: Annotated[
        Positive, Field(description="how freely people change speed, box heights / s^1.5; more: boxes follow faster")
    ] = 0.35
    box_noise: Annotated[
        Positive, Field(description="error of a detected box's centre, box heights; more: boxes are smoother")
    ] = 0.05
    smooth_keypoints: Annotated[bool, Field(description="whether keypoints are smoothed (one-euro filter)")] = False
    smooth_cutoff: Annotated[
        Positive, Field(description="cutoff frequency for a limb at rest, Hz; less: smoother, but slower")
    ] = 1.5
    smooth_speed: Annotated[
        float, Field(ge=0, description="rise of the cutoff with speed, Hz per (box height / s); more: less lag")
    ] = 5.0
