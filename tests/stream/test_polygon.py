"""Masks as outlines: they stay where they are, and within their tolerance."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stream.perception import Perception
from stream.types import Bool, Polygon
from tests.stream.test_perception import AtCorner, Filled, Marked, image


def filled(window: Bool) -> Bool:
    """`window` with its holes: what no way over background, sideways or up and down, leads out of."""
    outside = np.pad(window, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), (2,), flags=4)
    return np.asarray(outside[1:-1, 1:-1] != 2)


@given(arrays(np.bool_, st.tuples(st.integers(1, 24), st.integers(1, 24))))
def test_outlines_without_tolerance_are_another_mask(window: Bool) -> None:
    polygon = Polygon.encode(window, (3, -4), tolerance=0)
    assert (polygon.window() == filled(window)).all()
    assert polygon.size == window.shape and polygon.origin == (3, -4)


@pytest.mark.parametrize(("height", "iou"), [(40, 0.9), (80, 0.95), (500, 0.985)])
def test_a_person_is_simplified_beyond_recognition(height: int, iou: float) -> None:
    window = np.zeros((height, height // 2), np.uint8)
    middle = (height // 4, height // 4)
    cv2.ellipse(window, middle, (height // 7, height // 4), 10, 0, 360, (1,), -1)
    cv2.line(window, middle, (height // 7, height - 2), (1,), max(1, height // 9))
    mask = window.astype(np.bool_)
    shown = Polygon.encode(mask, (0, 0)).window()
    assert (shown & mask).sum() / (shown | mask).sum() > iou


@given(st.integers(-30, 60), st.integers(-30, 60))
def test_outlines_wrap_when_their_window_leaves_the_frame(x: int, y: int) -> None:
    shown = Polygon.encode(np.ones((9, 7), np.bool_), (x, y)).decode(50, 48)
    expected = np.zeros((50, 48), np.bool_)
    expected[max(0, y) : max(0, y + 9), max(0, x) : max(0, x + 7)] = True
    assert (shown == expected).all()


def test_nothing_has_an_outline() -> None:
    assert Polygon.encode(np.zeros((5, 4), np.bool_), (0, 0)).outlines == ()
    assert not Polygon((5, 4), (), (0, 0)).window().any()
    assert Polygon((0, 0), (), (0, 0)).decode(3, 3).shape == (3, 3)


def test_outlines_are_asked_for_and_run_lengths_come() -> None:
    (people,) = Perception(Marked(), AtCorner(), Filled(), encode=Polygon.encode)([image(3)], [True])
    (exact,) = Perception(Marked(), AtCorner(), Filled())([image(3)], [True])
    assert [type(mask) for mask in people.masks] == [Polygon, type(None), Polygon]
    shown, expected = people.mask(2), exact.mask(2)
    assert shown is not None and expected is not None and (shown == expected).all()
