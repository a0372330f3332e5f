"""COCO's compressed run lengths, checked before anybody decodes them.

The format (Lin et al., `maskApi.c` of the COCO API, described in `docs/wire.md`): run lengths in column-major order,
alternating from background; from the fourth on the difference to the run before the last one; each number in 5-bit
digits, lowest first, as a character `48 + digit + 32 * (another digit follows)`, the sign in bit 4 of its last digit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_NUMBERS = re.compile(rb"(?:[P-o]{0,6}[0-O])+")
"""One or more numbers of at most seven digits; decoders written in C read past the end of anything else."""

Int = npt.NDArray[np.int64]


def fill_their_windows(counts: Sequence[bytes], areas: Sequence[int]) -> bool:
    """Whether each of `counts` is well formed and its runs, none negative, sum to the window's `areas` in pixels.

    A decoder leaves the rest of its buffer unwritten when the runs are too short, so this must hold before decoding.
    """
    if not counts:
        return True
    if not all(map(_NUMBERS.fullmatch, counts)):
        return False
    runs, starts = _runs(counts)
    return bool((runs >= 0).all() and (np.add.reduceat(runs, starts) == np.asarray(areas)).all())


def _runs(counts: Sequence[bytes]) -> tuple[Int, Int]:
    """The run lengths of all `counts` in a row, and where those of each begin."""
    digits = np.frombuffer(b"".join(counts), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(digits < 32)
    first = np.concatenate(([0], last[:-1] + 1))
    shift = 5 * (np.arange(len(digits)) - np.repeat(first, last - first + 1))
    numbers = np.add.reduceat((digits & 31) << shift, first)
    numbers -= np.where(digits[last] & 16, 32 << shift[last], 0)

    ends = np.searchsorted(last, np.cumsum([len(c) for c in counts]))
    starts = np.concatenate(([0], ends[:-1]))
    begin = np.repeat(starts, ends - starts)
    place = np.arange(len(numbers)) - begin
    odd = np.where(place % 2 == 1, numbers, 0).cumsum()
    even = np.where((place % 2 == 0) & (place > 0), numbers, 0).cumsum()
    runs = np.where(place % 2 == 1, odd - odd[begin], even - even[begin])
    runs[starts] = numbers[starts]
    return runs, starts
