"""Who is who: the one-to-one assignment of people to tracks."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Double: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]


def assign(similarity: Double, allowed: npt.NDArray[np.bool_]) -> tuple[Rows, Rows]:
    """The pairs (row, column) with the largest sum of `similarity`, each row and column at most once.

    Args:
        similarity: float64 [T, N], 0 or more.
        allowed: bool [T, N]; other pairs are never made.

    Returns:
        Rows and columns of the pairs, intp [M] each, by rising row.
    """
    rows, columns = linear_sum_assignment(np.where(allowed, similarity, 0.0), maximize=True)
    made = allowed[rows, columns]
    return rows[made], columns[made]
