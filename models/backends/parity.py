"""The gate that every compiled network passes before it serves: does it still say what eager float32 says?"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from models.backends.base import Compiled, CompileSpec, Precision

TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 5e-2}
"""Largest relative error by precision: bfloat16 has 8 bits of mantissa, and some forty layers add up to 1 to 3 %."""


def probe(spec: CompileSpec) -> npt.NDArray[np.uint8]:
    """A picture-like test batch, uint8 [2, H, W, 3]: smooth colour fields with fine grain, the same at every call."""
    random = np.random.default_rng(0)
    images = []
    for _ in range(2):
        coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
        smooth = cv2.resize(coarse, (spec.width, spec.height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
        grain = random.integers(-12, 13, smooth.shape, np.int16)
        images.append(np.clip(smooth + grain, 0, 255).astype(np.uint8))
    return np.stack(images)


def relative_error(compiled: Compiled, reference: Compiled, pixels: npt.NDArray[np.uint8]) -> float:
    """The worst output's `|compiled - reference| / |reference|` (Euclidean norms); infinite where shapes differ."""
    worst = 0.0
    outputs, expected = compiled(pixels), reference(pixels)
    if len(outputs) != len(expected):
        return float("inf")
    for output, truth in zip(outputs, expected, strict=True):
        if output.shape != truth.shape or not np.isfinite(output).all():
            return float("inf")
        norm = float(np.linalg.norm(truth))
        difference = float(np.linalg.norm(output - truth))
        worst = max(worst, difference / norm if norm > 0 else difference)
    return worst
