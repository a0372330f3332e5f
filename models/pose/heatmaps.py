"""Heat maps: the place of a keypoint as the cell with the largest value (Xiao et al., "Simple Baselines", 2018)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.tasks import Float

Cells = npt.NDArray[np.intp]

_TOWARDS_NEIGHBOUR = 0.25
"""Of a cell: how far the place is moved to the larger one of its neighbours."""


def decode(maps: Float) -> tuple[Float, Float]:
    """Places and scores of keypoints.

    Args:
        maps: float32 [N, K, h, w].

    Returns:
        float32 [N, K, 2], x and y in cells, 0 the middle of the first, moved by a quarter of a cell towards the larger
        neighbour but in the two cells at the left and upper border and the last at the others; (0, 0) where not found.
        float32 [N, K], the largest value in 0..1, 0 where not found.
    """
    height, width = maps.shape[2:]
    cells, best = peaks(maps)
    columns, rows = cells[..., 0], cells[..., 1]
    inside = (columns > 1) & (columns < width - 1) & (rows > 1) & (rows < height - 1)
    person, keypoint = np.nonzero(inside & (best > 0))
    column, row = columns[person, keypoint], rows[person, keypoint]
    places = cells.astype(np.float32) * (best > 0)[..., None]
    right, left = maps[person, keypoint, row, column + 1], maps[person, keypoint, row, column - 1]
    below, above = maps[person, keypoint, row + 1, column], maps[person, keypoint, row - 1, column]
    places[person, keypoint] += np.sign(np.stack([right - left, below - above], axis=-1)) * _TOWARDS_NEIGHBOUR
    return places, best.clip(0, 1)


def peaks(maps: Float) -> tuple[Cells, Float]:
    """Of float32 [N, K, h, w] the column and row of the largest value [N, K, 2], and the value [N, K]."""
    count, keypoints, height, width = maps.shape
    flat = maps.reshape(count, keypoints, height * width)
    best = flat.argmax(axis=2)
    rows, columns = np.divmod(best, width)
    return np.stack([columns, rows], axis=-1), np.take_along_axis(flat, best[..., None], axis=2)[..., 0]


def at(maps: Float, cells: Cells) -> Float:
    """What `maps`, [N, K, h, w], hold in `cells`, [N, K, 2] of columns and rows: [N, K]."""
    person, keypoint = np.ogrid[: maps.shape[0], : maps.shape[1]]
    return maps[person, keypoint, cells[..., 1], cells[..., 0]]


def shifted(mirrored: Float) -> Float:
    """Heat maps of a mirrored image, [..., w], moved by the one cell that they are off (Xiao et al., 2018).

    A cell stands for the first of the four pixels that it covers, which a mirror makes the last: nearly a cell away.
    """
    return np.concatenate([mirrored[..., 1:], mirrored[..., -1:]], axis=-1)
