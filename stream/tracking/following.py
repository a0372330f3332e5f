"""Following people between detections: what their keypoints say of their boxes, and whether they are still there."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from models.coco import AREA_OF_BOX
from stream.tracking.similarity import box_similarity, keypoint_similarity
from stream.types import Bool, Float, Int

Double: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]

SURE = 0.3
"""Score from which a keypoint says something of where its person is."""

ENOUGH = 5
"""Keypoints that have to be seen before and now; with fewer, nobody is recognised."""

STILL_THERE = 0.8
"""Share of the mean score of a person's keypoints that must be left; below, he or she is half hidden by now."""

AS_EXPECTED = 0.4
"""Likeness of a measured box with the expected one; below, it may be somebody else's."""

SAME = 0.8
"""Similarity (OKS) from which two tracks show one person."""


class Followed(NamedTuple):
    """The M people who were seen last: their tracks, expected boxes, and what is known of them.

    Attributes:
        rows: intp [M], of the tracker. boxes: float32 [M, 4], where they should be.
        age: int64 [M], in how many frames nobody looked at them. ids: int64 [M], `UNTRACKED` of newcomers.
    """

    rows: Rows
    boxes: Float
    age: Int
    ids: Int

    def only(self, which: Bool | Rows) -> Followed:
        """Some of them."""
        return Followed(self.rows[which], self.boxes[which], self.age[which], self.ids[which])


def moved(keypoints: Float, boxes: Double, to: Double) -> Double:
    """`keypoints` [N, 17, 3] of people in `boxes` [N, 4], where they lie once the same pose fills the boxes `to`."""
    scale = ((to[:, 3] - to[:, 1]) / (boxes[:, 3] - boxes[:, 1]))[:, None]
    shift = (to[:, :2] + to[:, 2:]) / 2 - scale * ((boxes[:, :2] + boxes[:, 2:]) / 2)
    result = keypoints.astype(np.float64)
    result[:, :, :2] *= scale[:, None]
    result[:, :, :2] += shift[:, None]
    return result


def carried(keypoints: Float, velocity: Double, seconds: Double) -> Float:
    """Keypoints [N, 17, 3] of people who move at `velocity` [N, 2], pixels per second, `seconds` [N] later.

    All of them move alike. To let limbs swing on as fast as they did between the last two looks costs accuracy: how
    fast that was is mostly noise.
    """
    result = keypoints.copy()
    result[:, :, :2] += (velocity * seconds[:, None])[:, None]
    return result


def measured(boxes: Double, before: Float, now: Float, expected: Double) -> tuple[Double, Bool]:
    """Boxes of people who were looked at again without a detection.

    Each edge of a box moves as far as the outermost keypoint on its side: a detector's box follows arms and legs just
    so. Only keypoints count that were seen both times.

    Args:
        boxes: float64 [N, 4], as they were when the keypoints `before`, float32 [N, 17, 3], were seen.
        before, now: keypoints of the same people.
        expected: float64 [N, 4], where their tracks expect the boxes now.

    Returns:
        float64 [N, 4]; and bool [N], whether each of them was recognised: enough keypoints, as sure as before, and
        about where the person was expected.
    """
    common = (before[:, :, 2] >= SURE) & (now[:, :, 2] >= SURE)
    recognised: Bool = common.sum(axis=1) >= ENOUGH
    recognised &= now[:, :, 2].mean(axis=1) >= STILL_THERE * before[:, :, 2].mean(axis=1)
    shift = np.zeros_like(boxes)
    rows = recognised.nonzero()[0]
    for edges, outermost, nothing in ((slice(0, 2), np.min, np.inf), (slice(2, 4), np.max, -np.inf)):
        seen = [
            outermost(np.where(common[rows, :, None], points[rows, :, :2], nothing), axis=1) for points in (before, now)
        ]
        shift[rows, edges] = seen[1] - seen[0]
    result = boxes + shift
    recognised &= (result[:, 2:] - result[:, :2] >= 1).all(axis=1)
    result = np.where(recognised[:, None], result, expected)
    recognised &= np.diagonal(box_similarity(expected, result)) >= AS_EXPECTED
    return np.where(recognised[:, None], result, expected), recognised


def doubled(keypoints: Double, expected: Double, boxes: Double) -> Bool:
    """Who is looked at twice: of two tracks with the same keypoints, the one that went further for them.

    When two people cross, the crop of one shows the other, and both tracks would go on with the same person.

    Args:
        keypoints: float64 [N, 17, 3], of all tracks. expected: float64 [N, 4], where each should be.
        boxes: float64 [N, 4], where each was measured to be.
    """
    wrong = np.zeros(len(boxes), np.bool_)
    overlap = np.triu(box_similarity(boxes, boxes) > 0, 1)
    first, second = overlap.nonzero()
    if not len(first):
        return wrong
    size = boxes[:, 2:] - boxes[:, :2]
    areas = AREA_OF_BOX * size[:, 0] * size[:, 1]
    alike = keypoint_similarity(keypoints[first], keypoints[second], (areas[first] + areas[second]) / 2)
    same = alike >= SAME
    way = np.abs(boxes - expected).sum(axis=1) / size[:, 1]
    first, second = first[same], second[same]
    wrong[np.where(way[first] > way[second], first, second)] = True
    return wrong
