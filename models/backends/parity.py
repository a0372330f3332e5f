"""The gate that every compiled network passes before it serves: does it still say what eager float32 says?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.backends.base import Compiled, Input, Precision
from models.backends.pictures import pictures

TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 0.1}
"""Largest relative error by precision.

bfloat16 has 8 bits of mantissa. On the drawn people RTMPose-s is .08 off and loses .004 AP of keypoints; without being
recentred (`models.recentre`) it is .32 off and loses .037."""


def probe(inputs: Sequence[Input], rows: int = 4) -> tuple[npt.NDArray[Any], ...]:
    """A test batch, the same at every call: pictures of people where pixels are wanted, else normal noise."""
    random = np.random.default_rng(0)
    return tuple(
        pictures(rows, *of.shape[:2]) if of.dtype == "uint8" else random.standard_normal((rows, *of.shape), np.float32)
        for of in inputs
    )


def relative_error(compiled: Compiled, reference: Compiled, inputs: tuple[npt.NDArray[Any], ...]) -> float:
    """The worst output's `|compiled - reference| / |reference|` (Euclidean norms); infinite where shapes differ."""
    worst = 0.0
    outputs, expected = compiled(*inputs), reference(*inputs)
    if len(outputs) != len(expected):
        return float("inf")
    for output, truth in zip(outputs, expected, strict=True):
        if output.shape != truth.shape or not np.isfinite(output).all():
            return float("inf")
        norm = float(np.linalg.norm(truth))
        difference = float(np.linalg.norm(output - truth))
        worst = max(worst, difference / norm if norm > 0 else difference)
    return worst
