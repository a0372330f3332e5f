"""How far two runs agree: nothing that was lost may be counted as kept."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluate.agreement import Seen, iou, keypoint_agreement, mask_agreement, same_people


def seen(*corners: tuple[float, float], shift: float = 0.0, masked: bool = True) -> Seen:
    """People of 40 x 100 pixels whose keypoints lie in a grid in their box, `shift` pixels off."""
    boxes = np.array([[x, y, x + 40, y + 100] for x, y in corners], np.float32).reshape(-1, 4)
    steps = np.linspace(0.1, 0.9, 17, dtype=np.float32)
    keypoints = np.zeros((len(boxes), 17, 3), np.float32)
    keypoints[:, :, 0] = boxes[:, :1] + 40 * steps + shift
    keypoints[:, :, 1] = boxes[:, 1:2] + 100 * steps
    keypoints[:, :, 2] = 0.9
    masks = []
    for x1, y1, x2, y2 in boxes.astype(int).tolist():
        mask = np.zeros((300, 400), np.bool_)
        mask[y1:y2, x1:x2] = True
        masks.append(mask if masked else None)
    return Seen(boxes, np.full(len(boxes), 0.9, np.float32), keypoints, masks)


def test_a_run_does_not_agree_with_itself() -> None:
    frames = [seen((10, 20), (200, 50)), seen((12, 20)), seen()]
    assert keypoint_agreement(frames, frames) == pytest.approx(1.0)
    assert mask_agreement(frames, frames) == pytest.approx(1.0)


def test_people_who_were_lost_are_not_missed() -> None:
    reference = [seen((10, 20), (200, 50))] * 10
    assert keypoint_agreement(reference, [seen((10, 20))] * 10) < 0.6
    assert keypoint_agreement(reference, [seen()] * 10) == 0


def test_keypoints_that_are_off_agree_as_well_as_right_ones() -> None:
    reference = [seen((10, 20), (200, 50))] * 5
    agreement = [keypoint_agreement(reference, [seen((10, 20), (200, 50), shift=by)] * 5) for by in (0, 3, 6, 30)]
    assert agreement == sorted(agreement, reverse=True) and agreement[0] > agreement[2] > agreement[3]


def test_masks_of_different_people_are_compared() -> None:
    left, right = seen((10, 20)), seen((200, 50))
    assert np.isnan(mask_agreement([left], [right]))
    assert mask_agreement([left], [seen((20, 20))]) == pytest.approx(30 / 50)
    assert np.isnan(mask_agreement([left], [seen((10, 20), masked=False)]))


def test_two_people_are_matched_with_the_same_one() -> None:
    first, second = seen((10, 20), (30, 20)), seen((14, 20), (30, 20))
    assert same_people(first.boxes, second.boxes) == [(0, 0), (1, 1)]
    assert same_people(seen().boxes, second.boxes) == []


def test_two_empty_masks_divide_by_zero() -> None:
    nothing = np.zeros((4, 4), np.bool_)
    assert iou(nothing, nothing) == 1.0 and iou(nothing, ~nothing) == 0.0
