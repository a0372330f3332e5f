"""Where the anchors of an anchor-free detector lie."""

from __future__ import annotations

from functools import cache

import numpy as np

from models.tasks import Float

STRIDES = (8, 16, 32)
"""Pixels per cell of the output maps of YOLOX and RTMDet."""


@cache
def grid(size: tuple[int, int], strides: tuple[int, ...]) -> tuple[Float, Float]:
    """Of every anchor the column and row of its cell, float32 [A, 2], and its stride, float32 [A, 1]; read-only.

    Args:
        size: height and width of the network's input, pixels; multiples of the strides.
        strides: pixels per cell of the output maps; the anchors come stride by stride, row by row.
    """
    cells, per_cell = [], []
    for stride in strides:
        rows, columns = np.mgrid[: size[0] // stride, : size[1] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        per_cell.append(np.full((rows.size, 1), stride))
    found = np.concatenate(cells).astype(np.float32), np.concatenate(per_cell).astype(np.float32)
    for array in found:
        array.setflags(write=False)  # everybody is given the same
    return found
