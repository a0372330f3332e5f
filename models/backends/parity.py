"""The gate that every compiled network passes before it serves: does it still say what eager float32 says?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.backends.base import Compiled, Input, Precision

TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest relative error by precision: bfloat16 has 8 bits of mantissa, and some forty layers add up to 1 to 3 %."""


def probe(inputs: Sequence[Input], rows: int = 2) -> tuple[npt.NDArray[Any], ...]:
    """A test batch, the same at every call: pictures where pixels are wanted, else normal noise."""
    random = np.random.default_rng(0)
    return tuple(
        np.stack([_picture(random, of.shape[0], of.shape[1]) for _ in range(rows)])
        if of.dtype == "uint8"
        else random.standard_normal((rows, *of.shape), np.float32)
        for of in inputs
    )


def _picture(random: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Smooth colour fields with fine grain, uint8 [height, width, 3]."""
    coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    grain = random.integers(-12, 13, smooth.shape, np.int16)
    picture: npt.NDArray[np.uint8] = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return picture


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
