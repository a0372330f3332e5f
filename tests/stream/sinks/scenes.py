"""Frames with results to draw and record, and programs that record them until they are killed."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from stream.types import FrameResult, Image
from tests.stream.wire.samples import make_result


def make_frame(result: FrameResult) -> Image:
    """A picture for a result; it moves from frame to frame and compresses badly."""
    rng = np.random.default_rng(7)
    return np.roll(rng.integers(0, 255, (result.height, result.width, 3), np.uint8), 3 * result.seq, axis=1)


def make_scene(
    frames: int, *, size: tuple[int, int] = (96, 128), people: int = 3
) -> Iterator[tuple[FrameResult, Image]]:
    """Results of one stream and their pictures."""
    for seq in range(frames):
        result = make_result(seq=seq, people=people, size=size)
        yield result, make_frame(result)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process can grow beyond `room` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
