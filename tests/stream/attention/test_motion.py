"""Motion where nobody is known to be, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from stream.attention.motion import Motion
from stream.types import Float, Image

NOBODY = np.zeros((0, 4), np.float32)


def picture(*bars: tuple[int, int]) -> Image:
    """A grey picture with bright bars of 30 x 100 pixels."""
    image = np.full((240, 320, 3), 60, np.uint8)
    for x, y in bars:
        image[y : y + 100, x : x + 30] = 220
    return image


def box(x: int, y: int) -> Float:
    return np.array([[x, y, x + 30, y + 100]], np.float32)


def test_the_first_picture_moves() -> None:
    motion = Motion()
    motion.look(picture((50, 50)))
    assert not motion.elsewhere(NOBODY)


def test_somebody_who_comes_in_is_overlooked_or_the_known_ones_are_not() -> None:
    motion = Motion()
    motion.look(picture((50, 50)))
    motion.look(picture((58, 50)))
    assert motion.elsewhere(NOBODY)
    assert not motion.elsewhere(box(55, 50)), "a person's own steps count as somebody else's"
    motion.look(picture((66, 50), (250, 80)))
    assert motion.elsewhere(box(63, 50))


def test_noise_is_motion() -> None:
    motion, random = Motion(), np.random.default_rng(0)
    for _ in range(10):
        noise = random.integers(-12, 13, (240, 320, 3))
        motion.look(np.clip(picture() + noise, 0, 255).astype(np.uint8))
        assert not motion.elsewhere(NOBODY)


def test_what_always_moves_is_news_every_time_or_hides_a_person_for_ever() -> None:
    motion = Motion()
    for time in range(6):
        motion.look(picture((200, 20 * (time % 2))))
        if time == 1:
            assert motion.elsewhere(NOBODY)
            motion.nobody_but(NOBODY)
    assert not motion.elsewhere(NOBODY)
    for _ in range(60):
        motion.look(picture())
    motion.look(picture((200, 0)))
    assert motion.elsewhere(NOBODY)


@pytest.mark.parametrize("shape", [(5, 3), (8, 8), (1080, 1920)])
def test_a_picture_of_another_size_is_compared_with_the_one_before(shape: tuple[int, int]) -> None:
    motion = Motion()
    motion.look(picture((50, 50)))
    motion.look(np.zeros((*shape, 3), np.uint8))
    assert not motion.elsewhere(NOBODY)
