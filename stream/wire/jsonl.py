"""A frame as one line of JSON: what `watch --json` prints and the recorder writes.

The names are those of the wire; keypoints are 17 lists `[x, y, score]`. Pixels are rounded to a hundredth and scores to
a ten-thousandth, far below what a network knows; times and everything else are exact.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from stream.types import KEYPOINTS, Float, FrameResult
from stream.wire import _fields as read
from stream.wire._fields import SchemaError
from stream.wire.records import read_result, result_record


def to_json(result: FrameResult) -> str:
    """`result` as one line, without the line feed.

    Raises:
        ValueError: a number is not finite, which JSON cannot say.
    """
    people = result.people
    keypoints = people.keypoints.astype(np.float64)
    keypoints[..., :2] = keypoints[..., :2].round(2)
    keypoints[..., 2] = keypoints[..., 2].round(4)
    record = result_record(
        result,
        boxes=_rounded(people.boxes, 2),
        scores=_rounded(people.scores, 4),
        keypoints=keypoints.tolist(),
        velocity=_rounded(people.velocity, 2),
    )
    return json.dumps(record, separators=(",", ":"), allow_nan=False)


def from_json(line: str | bytes) -> FrameResult:
    """The frame that a line describes.

    Raises:
        SchemaError: the line is not JSON, or not what version 1 describes.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"the line is not JSON ({error})") from None
    return read_result(record, _keypoints)


def _rounded(values: Float, digits: int) -> list[Any]:
    rounded: list[Any] = values.astype(np.float64).round(digits).tolist()  # in float64, so that 0.1 prints as 0.1
    return rounded


def _keypoints(values: list[Any]) -> Float:
    return np.array(
        [[_point(row) for row in read.items(value, "keypoints", len(KEYPOINTS))] for value in values], np.float32
    )


def _point(value: Any) -> list[float]:
    return [read.real(part, "keypoints") for part in read.items(value, "keypoints", 3)]
