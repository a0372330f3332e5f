"""Who is who: the one-to-one assignment of people to tracks."""

from __future__ import annotations

from typing import TypeAlias

import lap
import numpy as np
import numpy.typing as npt

Double: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.intp]
Bool: TypeAlias = npt.NDArray[np.bool_]

NOBODY = -1
"""The row of the track of somebody who has none."""


def assign(similarity: Double, allowed: Bool) -> tuple[Rows, Rows]:
    """The pairs (row, column) with the largest sum of `similarity`, each row and column at most once.

    Args:
        similarity: float64 [T, N], 0 or more.
        allowed: bool [T, N]; other pairs are never made.

    Returns:
        Rows and columns of the pairs, intp [M] each, by rising row.
    """
    columns, _ = lap.lapjv(np.where(allowed, -similarity, 0.0), extend_cost=True, return_cost=False)
    rows = (columns >= 0).nonzero()[0]
    columns = columns[rows].astype(np.intp)
    made = allowed[rows, columns]
    return rows[made], columns[made]


def assign_in_stages(owners: Rows, similarity: Double, allowed: Bool, stages: tuple[tuple[Bool, Bool], ...]) -> None:
    """Enters the rows of their tracks into `owners` for those who have `NOBODY`, one of the `stages` after another.

    Args:
        owners: intp [N]; tracks that are in it already are taken.
        similarity: float64 [T, N] of tracks and people, 0 or more.
        allowed: bool [T, N]; other pairs are never made.
        stages: for each the tracks, bool [T], and the people, bool [N], who take part.
    """
    free = np.ones(len(allowed), np.bool_)
    free[owners[owners != NOBODY]] = False
    for tracks, people in stages:
        rows = (tracks & free).nonzero()[0]
        columns = (people & (owners == NOBODY)).nonzero()[0]
        if len(rows) and len(columns):
            pairs = rows[:, None], columns
            chosen, found = assign(similarity[pairs], allowed[pairs])
            owners[columns[found]] = rows[chosen]
            free[rows[chosen]] = False
