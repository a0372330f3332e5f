"""Who stands still: somebody who moves must not be taken for a statue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stream.attention.stillness import Stillness
from stream.types import Image, People

SIZE = (240, 320)


def picture(hand: int = 0, noise: int = 0, light: int = 0) -> Image:
    """Somebody in a dark coat before a grey wall, one hand so many pixels away from the hip."""
    image = np.full((*SIZE, 3), 120 + light, np.uint8)
    image[60:180, 100:150] = 40 + light
    image[120:132, 100 - hand : 112 - hand] = 220
    random = np.random.default_rng(noise)
    return np.clip(image + random.integers(-noise, noise + 1, image.shape), 0, 255).astype(np.uint8)


def people(*ids: int, predicted: bool = False) -> People:
    boxes = np.array([[80, 50, 160, 190]] * len(ids), np.float32).reshape(-1, 4)
    made = People.untracked(boxes, np.ones(len(ids), np.float32), frame_size=SIZE)
    return replace(made, ids=np.array(ids, np.int64), predicted=np.full(len(ids), predicted))


def test_a_hand_that_moves_goes_unnoticed_or_noise_does_not() -> None:
    still = Stillness()
    still.looked(picture(), people(1))
    one = np.array([1], np.int64)
    assert still.of(picture(noise=12), one).all()
    assert still.of(picture(hand=1), one).all()
    assert not still.of(picture(hand=16), one).any()
    assert not still.of(picture(light=40), one).any()


def test_a_slow_movement_is_never_seen_as_one() -> None:
    still = Stillness()
    still.looked(picture(), people(1))
    seen = [bool(still.of(picture(hand=hand), np.array([1], np.int64))[0]) for hand in range(0, 20, 2)]
    assert seen[0] and not seen[-1], "each frame was compared with the one before, not with the last look"


def test_pictures_that_change_their_size_end_the_run_or_are_taken_for_the_same() -> None:
    still, one = Stillness(), np.array([1], np.int64)
    still.looked(picture(), people(1))
    small = picture()[:40, :60]
    assert not still.of(small, one).any()
    still.looked(small, people(2))
    still.looked(picture(), people(predicted=True))
    assert not still.of(picture(), one).any()


def test_a_stranger_counts_as_still() -> None:
    still = Stillness()
    still.looked(picture(), people(1))
    assert still.of(picture(), np.array([2, 1, -1], np.int64)).tolist() == [False, True, False]
    assert still.of(picture(), np.zeros(0, np.int64)).shape == (0,)


def test_whoever_was_not_looked_at_is_taken_as_looked_at() -> None:
    still = Stillness()
    still.looked(picture(), people(1))
    still.looked(picture(hand=16), people(1, predicted=True))
    assert not still.of(picture(hand=16), np.array([1], np.int64)).any()


def test_people_who_left_are_kept() -> None:
    still = Stillness()
    still.looked(picture(), people(1))
    still.looked(picture(), people(2))
    assert still.of(picture(), np.array([1, 2], np.int64)).tolist() == [False, True]


def test_a_box_outside_of_the_picture_is_an_error() -> None:
    still, gone = Stillness(), people(1)
    still.looked(picture(), replace(gone, boxes=gone.boxes + 1000))
    assert not still.of(picture(), gone.ids).any()
