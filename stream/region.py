"""The part of a picture that matters: a polygon, outside of which people are left out."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.types import Bool, Float, People


def inside(people: People, region: Sequence[tuple[float, float]]) -> People:
    """Those who stand in `region`: the middle of the lower edge of their box, as far as it is in the picture, is in it.

    Args:
        people: of one frame.
        region: corners, x and y in 0..1 of the picture; empty: everywhere.
    """
    if not region or not len(people):
        return people
    return people[stands_in(people.boxes, people.frame_size, region)]


def stands_in(boxes: Float, frame_size: tuple[int, int], region: Sequence[tuple[float, float]]) -> Bool:
    """The same for `boxes` [N, 4] in a picture of (height, width), bool [N]."""
    if not region:
        return np.ones(len(boxes), np.bool_)
    height, width = frame_size
    polygon = np.array(region, np.float32)
    x = np.clip((boxes[:, 0] + boxes[:, 2]) / 2 / width, 0, 1)
    y = np.clip(boxes[:, 3] / height, 0, 1)
    feet = zip(x.tolist(), y.tolist(), strict=True)
    return np.array([cv2.pointPolygonTest(polygon, foot, False) >= 0 for foot in feet], np.bool_)
