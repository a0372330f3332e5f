"""The test pattern: the same in every run, and never still."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stream.sources.reader import SourceError
from tests.stream.sources.videos import open_stream


def test_two_runs_show_the_same_pictures() -> None:
    runs = [[frame.image for frame in open_stream("testpattern://96x64@10?frames=5")] for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*runs, strict=True))


def test_something_moves_in_every_frame() -> None:
    images = [frame.image for frame in open_stream("testpattern://320x240@10?frames=30")]
    assert len(images) == 30
    assert all(np.abs(a.astype(int) - b).max() > 40 for a, b in itertools.pairwise(images))


def test_without_a_number_of_frames_it_has_no_end_but_the_next_frame_comes() -> None:
    with open_stream("testpattern://64x48@25") as source:
        assert source.info.frames == 0
        assert len(list(itertools.islice(source, 100))) == 100


@pytest.mark.parametrize("size", [(16, 16), (65, 63), (3840, 2160)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    with open_stream(f"testpattern://{size[0]}x{size[1]}@12.5?frames=1") as source:
        assert (source.info.width, source.info.height, source.info.fps) == (*size, 12.5)
        assert next(iter(source)).image.shape == (size[1], size[0], 3)


@pytest.mark.parametrize(
    "uri",
    [
        "testpattern://",
        "testpattern://640x480",
        "testpattern://640@25",
        "testpattern://0x480@25",
        "testpattern://99999x480@25",
        "testpattern://640x480@0",
        "testpattern://640x480@25?frames=0",
        "testpattern://640x480@25?frame=3",
    ],
)
def test_a_pattern_that_makes_no_sense_is_one_clear_sentence(uri: str) -> None:
    with pytest.raises(SourceError) as failure:
        open_stream(uri)
    assert str(failure.value).startswith(uri) and "\n" not in str(failure.value)


def test_a_misspelt_word_of_a_pattern_is_not_named() -> None:
    with pytest.raises(SourceError, match=r"\?frame=3: frame is unknown; there is frames, as in testpattern://"):
        open_stream("testpattern://640x480@25?frame=3")
