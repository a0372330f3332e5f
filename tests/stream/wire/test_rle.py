"""Run lengths are checked before a decoder in C trusts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.types import Mask
from stream.wire._rle import fill_their_windows


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1)), max_size=5), st.integers(0, 2**32 - 1)
)
def test_masks_that_pycocotools_wrote_are_refused(sizes: list[tuple[int, int, float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [Mask.encode(rng.random((h, w)) < share, (0, 0)) for h, w, share in sizes]
    areas = [h * w for h, w, _ in sizes]
    assert fill_their_windows([mask.counts for mask in masks], areas)
    for i in range(len(masks)):
        wrong = [area + (place == i) for place, area in enumerate(areas)]
        assert not fill_their_windows([mask.counts for mask in masks], wrong)


def test_long_runs_are_cut() -> None:
    mask = Mask.encode(np.eye(3000, 2000, dtype=np.bool_), (0, 0))
    assert fill_their_windows([mask.counts], [3000 * 2000])


@pytest.mark.parametrize(
    "counts",
    [
        b"",  # nothing at all
        b"2",  # two of four pixels
        b"8",  # eight of four
        b"4o",  # ends within a number
        b"ooooooooo0",  # a number of ten digits
        b"4\x00",  # a character that is none of the format's
        b"4 ",
        b"TPPPPPPPPP0",  # four, in eleven digits
        b"5O",  # five pixels and minus one: the sum is right, a run is negative
        b"40002O",
    ],
)
def test_runs_that_do_not_fill_the_window_reach_the_decoder(counts: bytes) -> None:
    good = Mask.encode(np.ones((2, 2), np.bool_), (0, 0)).counts
    assert fill_their_windows([good], [4])
    assert not fill_their_windows([good, counts, good], [4, 4, 4])
