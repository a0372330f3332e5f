"""The values that flow: masks in their window, people as parallel arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.types import UNTRACKED, Mask, People


@given(st.integers(1, 40), st.integers(1, 40), st.integers(-30, 60), st.integers(-30, 60), st.integers(0, 2**32 - 1))
def test_a_mask_moves_or_wraps_when_its_window_leaves_the_frame(h: int, w: int, x: int, y: int, seed: int) -> None:
    window = np.random.default_rng(seed).random((h, w)) < 0.5
    full = Mask.encode(window, (x, y)).decode(50, 48)
    padded = np.zeros((50 + 200, 48 + 200), np.bool_)
    padded[100 + y : 100 + y + h, 100 + x : 100 + x + w] = window
    assert (full == padded[100:150, 100:148]).all()


def test_the_window_of_a_mask_does_not_survive_encoding() -> None:
    window = np.zeros((7, 5), np.bool_)
    window[2:4, 1:3] = True
    mask = Mask.encode(window, (10, 20))
    assert mask.size == (7, 5) and mask.origin == (10, 20)
    assert (mask.window() == window).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 5), (5, 1)])
def test_a_mask_of_a_window_without_an_area_or_of_one_line_cannot_be_encoded(shape: tuple[int, int]) -> None:
    mask = Mask.encode(np.ones(shape, np.bool_), (0, 0))
    assert mask.size == shape
    assert mask.window().sum() == shape[0] * shape[1]


def people(n: int, *, masks: bool) -> People:
    rng = np.random.default_rng(0)
    encoded = tuple(Mask.encode(np.ones((2, 2), np.bool_), (i, i)) for i in range(n)) if masks else ()
    return People.untracked(
        rng.random((n, 4)).astype(np.float32),
        rng.random(n).astype(np.float32),
        rng.random((n, 17, 3)).astype(np.float32),
        encoded,
        frame_size=(48, 64),
    )


@pytest.mark.parametrize("masks", [False, True])
def test_rows_fall_out_of_step_when_people_are_picked(masks: bool) -> None:
    everyone = people(4, masks=masks)
    picked = everyone[np.array([2, 0])]
    assert len(picked) == 2
    for old, new in ((2, 0), (0, 1)):
        assert (picked.boxes[new] == everyone.boxes[old]).all()
        assert (picked.keypoints[new] == everyone.keypoints[old]).all()
        assert picked.scores[new] == everyone.scores[old]
        assert picked.rle(new) == everyone.rle(old)


def test_people_without_masks_are_said_to_have_empty_ones() -> None:
    assert people(2, masks=False).mask(1) is None
    mask = people(2, masks=True).mask(1)
    assert mask is not None and mask.shape == (48, 64) and mask.sum() == 4


def test_nobody_has_the_wrong_shapes() -> None:
    nobody = People.none((10, 20))
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 17, 3) and nobody.boxes.shape == (0, 4) and nobody.velocity.shape == (0, 2)


def test_somebody_whom_no_tracker_saw_has_an_id() -> None:
    assert (people(3, masks=False).ids == UNTRACKED).all()
