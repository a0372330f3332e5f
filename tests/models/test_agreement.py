"""Places that move and masks that shrink are objected to, with the figure; what nobody sees is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.agreement import moved, overlapping
from models.backends.base import Outputs, Source
from models.detect.yolox_task import yolox_detector
from models.pose.rtmpose_task import rtmpose_estimator
from models.segment.blazepose_task import blazepose_segmenter
from models.serving import DetectorOptions, PoseOptions, Ready
from models.tasks import Float
from tests.models.compiling import weights_of

RANDOM = np.random.default_rng(0)


def places(count: int = 200) -> Float:
    return RANDOM.uniform(0, 100, (count, 2)).astype(np.float32)


def test_places_that_moved_by_more_than_a_pixel_agree() -> None:
    reference = places()
    assert moved("keypoints", reference + np.float32(0.9), reference) == ""
    assert "keypoints are 1.2 pixels off" in moved("keypoints", reference + np.float32(1.2), reference)


def test_one_of_a_hundred_decides_or_two_do_not() -> None:
    reference = places(200)
    one, many = reference.copy(), reference.copy()
    one[0] += 50
    many[:4] += 50
    assert moved("boxes", one, reference) == ""
    assert "50 pixels off" in moved("boxes", many, reference)


def test_where_nobody_is_sure_there_is_an_objection() -> None:
    assert moved("boxes", places(0), places(0)) == ""
    nothing = np.zeros((2, 8, 8), bool)
    assert overlapping(~nothing, nothing) == ""


def test_masks_that_hardly_overlap_agree() -> None:
    reference = np.zeros((3, 100, 100), bool)
    reference[:2, :, :50] = True
    close, far = reference.copy(), reference.copy()
    close[0, :, 49] = False
    far[:2, :, 45:] = False
    assert overlapping(close, reference) == ""
    assert "masks overlap eager float32's by 0.900" in overlapping(far, reference)


class Making:
    """A `models.serving.Compile` that only makes the network."""

    source: Source

    def __call__(self, make: Callable[[], Source], **_: object) -> Ready:
        self.source = make()
        return Ready(lambda *_: (), self.source.inputs)


def judged(outputs: Outputs, reference: Outputs, build: Callable[[Making], object]) -> str:
    making = Making()
    build(making)
    assert making.source.judge is not None
    return making.source.judge(outputs, reference)


def test_boxes_are_judged_by_those_whom_nobody_sees() -> None:
    def build(making: Making) -> object:
        return yolox_detector(weights_of("yolox-nano"), making, DetectorOptions((64, 64)))

    reference = RANDOM.normal(0, 1, (2, 84, 6)).astype(np.float32)
    reference[..., 4:] = -9
    reference[:, :3, 4:] = 9
    unseen, seen = reference.copy(), reference.copy()
    unseen[:, 3:, :2] += 5
    seen[:, :3, :2] += 5
    assert judged((unseen,), (reference,), build) == ""
    assert "boxes are 40 pixels off" in judged((seen,), (reference,), build), "five cells of eight pixels"


def test_keypoints_are_judged_by_those_of_which_the_network_is_not_sure() -> None:
    def build(making: Making) -> object:
        return rtmpose_estimator(weights_of("rtmpose-t-coco"), making, PoseOptions())

    x, y = np.zeros((2, 17, 384), np.float32), np.zeros((2, 17, 512), np.float32)
    x[:, :, 100], y[:, :, 200] = 0.9, 0.9
    y[:, 5:, 200] = 0.1
    unsure, sure = x.copy(), x.copy()
    unsure[:, 5:] = np.roll(x[:, 5:], 40, axis=2)
    sure[:, :5] = np.roll(x[:, :5], 40, axis=2)
    assert judged((unsure, y), (x, y), build) == ""
    assert "keypoints are 20 pixels off" in judged((sure, y), (x, y), build), "two bins per pixel"


def test_masks_are_not_judged_at_logit_zero() -> None:
    def build(making: Making) -> object:
        return blazepose_segmenter(weights_of("blazepose-full"), making)

    reference = np.full((2, 1, 64, 64), -3, np.float32)
    reference[:, :, 16:48, 16:48] = 3
    surer, smaller = reference * 100, reference.copy()
    smaller[:, :, :20] = -3
    assert judged((surer,), (reference,), build) == ""
    assert "masks overlap" in judged((smaller,), (reference,), build)


@pytest.mark.parametrize(
    ("precision", "strict", "heard"),
    [
        ("float32", False, True),
        ("float16", False, True),
        ("bfloat16", True, True),
        ("bfloat16", False, False),
    ],
)
def test_an_objection_is_overheard_on_a_gpu_or_ends_bfloat16_on_processors(
    precision: str, strict: bool, heard: bool
) -> None:
    from models.backends.parity import Verdict

    verdict = Verdict(1e-4, "boxes are 3 pixels off")
    assert bool(verdict.against(precision, strict=strict)) == heard  # type: ignore[arg-type]
    assert "differ by 0.5" in Verdict(0.5).against(precision, strict=strict)  # type: ignore[arg-type]
