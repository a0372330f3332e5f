"""Masks as run lengths: exact to the pixel, and the very bytes that pycocotools writes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from stream.types import Bool, Mask

WINDOWS = arrays(np.bool_, st.tuples(st.integers(1, 30), st.integers(1, 30)))
MARGINS = st.integers(0, 40)


@given(WINDOWS)
def test_a_pixel_is_lost_on_the_way(window: Bool) -> None:
    mask = Mask.encode(window, (0, 0))
    assert (mask.window() == window).all() and mask.window().dtype == np.bool_


@given(WINDOWS, MARGINS, MARGINS, MARGINS, MARGINS)
def test_a_mask_in_its_frame_is_not_what_coco_would_say(
    window: Bool, left: int, top: int, right: int, bottom: int
) -> None:
    """Area, box and bytes of the decoded mask are those that pycocotools gives of the whole picture."""
    frame = np.pad(window, ((top, bottom), (left, right)))
    decoded = Mask.encode(window, (left, top)).decode(*frame.shape)
    ours = coco_mask.encode(np.asfortranarray(decoded, dtype=np.uint8))
    theirs = coco_mask.encode(np.asfortranarray(frame, dtype=np.uint8))
    assert ours == theirs
    assert Mask.encode(frame, (0, 0)).counts == theirs["counts"]
    assert coco_mask.area(ours) == window.sum()


@given(st.lists(st.integers(1, 70_000), min_size=1, max_size=6), st.booleans())
def test_long_runs_are_shortened(runs: list[int], begins: bool) -> None:
    """Runs that need several characters, and differences of both signs."""
    column = np.repeat((np.arange(len(runs)) + begins) % 2 == 1, runs)
    assert (Mask.encode(column[:, None], (0, 0)).window()[:, 0] == column).all()
