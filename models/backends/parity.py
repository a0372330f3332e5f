"""The gate that every compiled network passes before it serves: does it still say what eager float32 says?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.backends.base import Compiled, Input, Judge, Outputs, Precision
from models.backends.pictures import pictures

TOLERANCE: dict[Precision, float] = {"float32": 1e-3, "float16": 0.02, "bfloat16": 0.1, "int8": math.inf}
"""Largest relative error by precision.

bfloat16 has 8 bits of mantissa. On the drawn people RTMPose-s is .08 off and loses .004 AP of keypoints; without being
recentred (`models.recentre`) it is .32 off and loses .037. float16 has 11, and RTMPose-s is .010 off in it.

int8 is judged by its AP when it is calibrated."""


def probe(inputs: Sequence[Input], rows: int = 4) -> tuple[npt.NDArray[Any], ...]:
    """A test batch, the same at every call: pictures of people where pixels are wanted, else normal noise."""
    random = np.random.default_rng(0)
    return tuple(
        pictures(rows, *of.shape[:2]) if of.dtype == "uint8" else random.standard_normal((rows, *of.shape), np.float32)
        for of in inputs
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate has seen of a compiled network.

    Attributes:
        error: see `relative_error`.
        objection: the judge's, a sentence; "" for none.
    """

    error: float
    objection: str = ""

    def against(self, precision: Precision, *, strict: bool) -> str:
        """Why the network is not to serve; nothing where it is.

        Args:
            precision: it computes in.
            strict: whether the judge is heard below float16 too: not on a processor, where bfloat16 halves the time,
                and docs/models.md says what it costs.
        """
        if self.error > TOLERANCE[precision]:
            allowed = TOLERANCE[precision]
            return f"outputs differ by {self.error:.2g} from eager float32, more than the {allowed:.2g} allowed"
        return self.objection if strict or precision in ("float32", "float16") else ""


def compared(
    compiled: Compiled, reference: Compiled, inputs: tuple[npt.NDArray[Any], ...], judge: Judge | None = None
) -> Verdict:
    """How far `compiled` is from `reference` on `inputs`."""
    outputs, expected = compiled(*inputs), reference(*inputs)
    error = relative_error(outputs, expected)
    return Verdict(error, judge(outputs, expected) if judge and math.isfinite(error) else "")


def relative_error(outputs: Outputs, expected: Outputs) -> float:
    """The worst output's `|output - expected| / |expected|` (Euclidean norms); infinite where shapes differ."""
    worst = 0.0
    if len(outputs) != len(expected):
        return float("inf")
    for output, truth in zip(outputs, expected, strict=True):
        if output.shape != truth.shape or not np.isfinite(output).all():
            return float("inf")
        norm = float(np.linalg.norm(truth))
        difference = float(np.linalg.norm(output - truth))
        worst = max(worst, difference / norm if norm > 0 else difference)
    return worst
