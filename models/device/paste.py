"""From the logits of crops to masks in the image, and these to run lengths, which are all that the host is given.

Masks of all sizes lie in one flat tensor, each column by column, as COCO counts its runs: the mask of one person begins
where that of the one before ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.device.sampling import bilinear, bordered
from models.device.transfer import upload
from models.segment.roi import OUTSIDE
from models.tasks import Bool

Double = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

_TOGETHER = 1 << 22
"""Pixels of windows that are filled together; each needs about a hundred bytes for the time being."""

_EDGES_PER_COLUMN = 4
"""Room for where masks begin and end: of two limbs in every column of every window."""


@dataclass(frozen=True, slots=True, eq=False)
class Masks:
    """The masks of N people inside their windows.

    Attributes:
        bits: bool [T], on the device; window after window, each column by column.
        ends: long [N], on the device: of each window the number of the pixel behind its last one.
        sizes: int64 [N, 2], on the host: height and width of each window.
    """

    bits: Tensor
    ends: Tensor
    sizes: Numbers

    def room(self) -> int:
        """Of how many edges there are seldom more."""
        return int((self.sizes[:, 1] + 1).sum()) * _EDGES_PER_COLUMN

    def edges(self, room: int) -> tuple[Tensor, Tensor]:
        """Where masks begin and end.

        Args:
            room: of how many edges; what follows them is lost.

        Returns:
            int32 [room], the pixels whose value differs from that before them in their window (0 before the first), in
            their order, followed by anything; long [N], how many there are up to the end of each window. Nothing waits
            for the device, which is why the room has to be guessed.
        """
        before = self.bits.roll(1).index_fill_(0, self.ends.remainder(len(self.bits)), False)
        turns = self.bits != before
        order = turns.cumsum(0)
        place = torch.where(turns, order - 1, room).clamp_(max=room)
        pixels = torch.arange(len(self.bits), dtype=torch.int32, device=self.bits.device)
        found = pixels.new_zeros(room + 1).scatter_(0, place, pixels)
        return found[:room], order[self.ends - 1]


def paste(logits: Tensor, regions: Double, windows: Numbers) -> Iterator[Masks]:
    """Where the logits of crops are positive, seen in windows of the images: `models.segment.roi.paste` of many.

    At most `_TOGETHER` pixels and one window more are filled at once. Nothing waits for the device. See
    `models.device.sampling` for how near it comes to OpenCV: pixels whose logit is nearly 0 may differ.

    Args:
        logits: float [N, S, S].
        regions: float64 [N, 2, 3], crop to image.
        windows: int64 [N, 4], left, top, right, bottom (the latter two exclusive), of one pixel at least each.
    """
    inverse = _inverse(regions, windows[:, :2])
    sizes = (windows[:, 2:] - windows[:, :2])[:, ::-1]
    areas = sizes.prod(axis=1)
    pieces = (areas.cumsum() - 1) // _TOGETHER
    for rows in np.split(np.arange(len(areas)), np.flatnonzero(np.diff(pieces)) + 1):
        some = slice(rows[0], rows[-1] + 1)
        yield _pasted(logits[some], inverse[some], sizes[some])


def _pasted(logits: Tensor, inverse: Double, sizes: Numbers) -> Masks:
    """Masks in windows of these `sizes`, [N, 2] of height and width; `inverse` takes their pixels to the crop's."""
    device = logits.device
    people, side = logits.shape[:2]
    areas = sizes.prod(axis=1)
    ends = areas.cumsum()
    columns = np.column_stack([areas, ends - areas, sizes[:, 0]])
    counts, firsts, heights = upload(columns, device).unbind(1)
    person = torch.arange(people, device=device).repeat_interleave(counts, output_size=int(ends[-1]))
    within = torch.arange(len(person), device=device) - firsts[person]
    height = heights[person]
    column = within.div(height, rounding_mode="floor")
    row = within - column * height
    xx, xy, x0, yx, yy, y0 = upload(inverse.reshape(-1, 6).astype(np.float32), device)[person].unbind(1)
    read = bordered(logits.reshape(-1, 1), person * side**2, side, side, OUTSIDE)
    found = bilinear(read, xx * column + xy * row + x0, yx * column + yy * row + y0)
    return Masks(found[:, 0] > 0, firsts + counts, sizes)


def _inverse(regions: Double, corners: Numbers) -> Double:
    """Of each region, crop to image, the way from pixels counted from these `corners` to the crop: float64 [N, 2, 3].

    As in OpenCV, a region without extent has the inverse 0.
    """
    (a, b, x), (c, d, y) = np.moveaxis(regions, 0, 2)
    determinant = a * d - b * c
    factor = np.divide(1, determinant, out=np.zeros_like(determinant), where=determinant != 0)
    turn = np.array([[d, -b], [-c, a]]) * factor
    shift = np.stack([x, y]) - corners.T
    inverse: Double = np.moveaxis(np.concatenate([turn, -np.einsum("ijn,jn->in", turn, shift)[:, None]], axis=1), 2, 0)
    return inverse


def mean_probability(logits: Tensor) -> Tensor:
    """As `models.segment.roi.mean_probability`, of logits [N, S, S]: float32 [N]."""
    coarse = logits[:, ::4, ::4].float()
    inside = coarse > 0
    total = torch.where(inside, coarse.sigmoid(), 0).sum(dim=(1, 2))
    return total / inside.sum(dim=(1, 2)).clamp(min=1)


def run_lengths(edges: Numbers, first: int, end: int) -> Numbers:
    """COCO's run lengths of one mask, alternating from background: int64 [R].

    Args:
        edges: where it begins and ends, as from `Masks.edges`. first, end: the pixels of its window.
    """
    return np.diff(edges, prepend=first, append=end)


def bitmap(runs: Numbers, size: tuple[int, int]) -> Bool:
    """The mask of these run lengths: bool [h, w], columns contiguous in memory."""
    height, width = size
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
