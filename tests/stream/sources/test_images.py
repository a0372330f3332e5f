"""Images as a stream: their order, and those among them that are not what they seem."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from stream.sources.reader import SourceError
from tests.stream.sources.videos import corners, open_stream, shades, write_images


def test_image_10_comes_after_image_2(tmp_path: Path) -> None:
    images = shades(12)
    write_images(tmp_path / "walk", {f"img{i}.png": image for i, image in enumerate(images)})
    with open_stream(tmp_path / "walk") as source:
        assert [int(frame.image[0, 0, 0]) for frame in source] == [int(image[0, 0, 0]) for image in images]
        assert (source.info.frames, source.info.fps) == (12, 25)


def test_an_unreadable_image_among_them_is_skipped_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_images(tmp_path / "walk", {f"{i}.png": image for i, image in enumerate(shades(4))})
    (tmp_path / "walk" / "1.png").write_bytes(b"no image")
    (tmp_path / "walk" / "2.png").write_bytes(b"")
    with caplog.at_level(logging.WARNING), open_stream(tmp_path / "walk") as source:
        frames = list(source)
        assert source.dropped["unreadable"] == 2
    assert [frame.seq for frame in frames] == [0, 1]
    assert [frame.pts for frame in frames] == pytest.approx([0, 3 / 25])
    assert "1.png: not a readable image, skipped" in caplog.text


def test_images_none_of_which_can_be_read_are_one_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(SourceError, match="not one picture in it can be decoded"):
        open_stream(tmp_path)


def test_what_the_file_manager_left_in_the_folder_is_no_image(tmp_path: Path) -> None:
    write_images(tmp_path, {"a.png": shades(1)[0]})
    for name in (".DS_Store", "._a.png", "Thumbs.db", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    with open_stream(tmp_path) as source:
        assert len(list(source)) == 1
        assert not source.dropped


@pytest.mark.parametrize(
    "stored",
    [
        np.full((48, 64), 120, np.uint8),
        np.full((48, 64), 120 * 257, np.uint16),
        np.full((48, 64, 3), 120 * 257, np.uint16),
        np.dstack([np.full((48, 64, 3), 120, np.uint8), np.zeros((48, 64, 1), np.uint8)]),
    ],
    ids=["grey", "grey 16 bit", "16 bit", "transparent"],
)
def test_images_of_every_depth_come_out_as_eight_bit_bgr(tmp_path: Path, stored: np.ndarray) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    with open_stream(tmp_path / "a.png") as source:
        image = next(iter(source)).image
    assert image.shape == (48, 64, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - 120).max() <= 1


def test_a_photo_taken_upright_is_not_lying_on_its_side(tmp_path: Path) -> None:
    orientation_6 = bytes.fromhex("ffe100224578696600004d4d002a00000008000101120003000000010006000000000000")
    encoded = cv2.imencode(".jpg", corners(64, 48))[1].tobytes()
    (tmp_path / "a.jpg").write_bytes(encoded[:2] + orientation_6 + encoded[2:])
    with open_stream(tmp_path / "a.jpg") as source:
        image = next(iter(source)).image
    assert image.shape == (64, 48, 3)
    assert np.abs(image[5, 5].astype(int) - corners(64, 48)[-5, 5]).max() < 12, "bottom left belongs to the top left"


def test_the_rate_of_images_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    write_images(tmp_path, {f"{i}.png": image for i, image in enumerate(shades(4))})
    with open_stream(tmp_path, fps=2) as source:
        assert source.info.fps == 2
        assert [frame.pts for frame in source] == pytest.approx([0, 0.5, 1.0, 1.5])
        assert not source.dropped


def test_images_of_different_sizes_make_one_stream(tmp_path: Path) -> None:
    write_images(tmp_path, {"1.png": corners(64, 48), "2.png": corners(30, 90)})
    with open_stream(tmp_path) as source:
        assert [(frame.width, frame.height) for frame in source] == [(64, 48), (30, 90)]


def test_a_glob_takes_what_it_matches_and_no_more(tmp_path: Path) -> None:
    write_images(tmp_path, {f"{name}.png": image for name, image in zip(("a1", "a2", "b1"), shades(3), strict=True)})
    (tmp_path / "a3.txt").write_text("x")
    with open_stream(f"{tmp_path}/a*") as source:
        assert len(list(source)) == 2


def test_a_file_with_brackets_in_its_name_is_not_taken_for_a_glob(tmp_path: Path) -> None:
    write_images(tmp_path, {"a[1].png": shades(1)[0]})
    with open_stream(tmp_path / "a[1].png") as source:
        assert len(list(source)) == 1


@pytest.mark.parametrize("pattern", ["*.mp4", "."])
def test_a_folder_or_glob_without_images_is_one_clear_sentence(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match="there is no image in it"):
        open_stream(f"{tmp_path}/{pattern}")
