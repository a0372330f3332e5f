"""What videos in the wild look like, and what becomes of the broken ones."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.sources.reader import SourceError
from stream.types import Image
from tests.stream.sources.videos import (
    BT601,
    BT709,
    FULL,
    LIMITED,
    UNSPECIFIED,
    corners,
    noise,
    open_stream,
    shades,
    write_video,
)


def damage(path: Path, start: float, count: int) -> None:
    """Overwrite `count` bytes of a file with noise, from the fraction `start` of it on."""
    content = bytearray(path.read_bytes())
    at = int(start * len(content))
    content[at : at + count] = random.Random(1).randbytes(count)
    path.write_bytes(content)


def truncate(path: Path, fraction: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(fraction * path.stat().st_size)])
    return path


def first_image(path: Path) -> Image:
    with open_stream(path) as source:
        return next(iter(source)).image


def difference(a: Image, b: Image) -> float:
    """Mean absolute difference of two images, 0..255."""
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.mp4", "libx265", "yuv420p10le"),
        ("a.mkv", "ffv1", "yuva420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.mkv", "ffv1", "gbrp10le"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_pixel_formats_of_every_kind_come_out_as_the_colours_that_went_in(
    tmp_path: Path, name: str, codec: str, pix_fmt: str
) -> None:
    image = corners(64, 48)
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    write_video(tmp_path / name, [image] * 3, codec=codec, pix_fmt=pix_fmt, options=options)
    decoded = first_image(tmp_path / name)
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous and decoded.flags.writeable
    assert difference(decoded, image) < (25 if codec == "gif" else 6)  # a GIF is dithered


@pytest.mark.parametrize(("codec", "pix_fmt"), [("ffv1", "gray"), ("ffv1", "gray16le"), ("libx264", "gray10le")])
def test_grey_video_comes_out_with_three_equal_channels(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    write_video(tmp_path / "a.mkv", [np.full((48, 64, 3), 120, np.uint8)] * 2, codec=codec, pix_fmt=pix_fmt)
    decoded = first_image(tmp_path / "a.mkv")
    assert decoded.shape == (48, 64, 3)
    assert np.ptp(decoded.astype(int), axis=2).max() <= 1
    assert abs(float(decoded.mean()) - 120) < 3


@pytest.mark.parametrize("size", [(65, 63), (641, 360), (333, 255)])
def test_odd_sizes_are_not_sheared(tmp_path: Path, size: tuple[int, int]) -> None:
    image = corners(*size)
    write_video(tmp_path / "a.mkv", [image], codec="ffv1", pix_fmt="yuv420p")
    decoded = first_image(tmp_path / "a.mkv")
    assert decoded.shape == image.shape and decoded.flags.c_contiguous
    assert difference(decoded, image) < 6


@pytest.mark.parametrize("space", [BT709, BT601])
@pytest.mark.parametrize("span", [LIMITED, FULL])
def test_the_colour_space_and_range_that_a_video_names_are_used(tmp_path: Path, space: int, span: int) -> None:
    image = np.full((48, 64, 3), (30, 60, 200), np.uint8)
    write_video(tmp_path / "a.mkv", [image] * 2, options={"qp": "1"}, tags=(space, span))
    assert np.abs(first_image(tmp_path / "a.mkv").astype(int) - image).max() <= 3


@pytest.mark.parametrize(("size", "space"), [((64, 48), BT601), ((1280, 720), BT709)])
def test_a_video_without_a_colour_space_gets_the_one_of_its_size(
    tmp_path: Path, size: tuple[int, int], space: int
) -> None:
    image = np.full((size[1], size[0], 3), (30, 60, 200), np.uint8)
    as_yuv = av.VideoFrame.from_ndarray(image, "bgr24").reformat(
        format="yuv420p", dst_colorspace=space, dst_color_range=LIMITED
    )
    with av.open(tmp_path / "a.mkv", "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        as_yuv.colorspace, as_yuv.color_range, as_yuv.pts = UNSPECIFIED, 0, 0
        container.mux(stream.encode(as_yuv))
        container.mux(stream.encode())
    assert np.abs(first_image(tmp_path / "a.mkv").astype(int) - image).max() <= 3


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_phone_video_comes_out_upright(tmp_path: Path, degrees: float) -> None:
    path = write_video(tmp_path / "a.mp4", [corners(64, 48)] * 3, rotation=degrees)
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    turned = capture.read()[1]
    capture.release()
    with open_stream(path) as source:
        image = next(iter(source)).image
        assert (source.info.height, source.info.width) == turned.shape[:2]
    assert turned.shape[:2] == ((64, 48) if abs(degrees) == 90 else (48, 64))
    assert difference(image, turned) < 2
    assert difference(turned, cv2.resize(corners(64, 48), turned.shape[1::-1])) > 20, "the file was not turned at all"


def test_variable_frame_rates_keep_their_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.2, 0.24, 1.0]
    write_video(tmp_path / "a.mkv", shades(5), times=times)
    with open_stream(tmp_path / "a.mkv") as source:
        assert [frame.pts for frame in source] == pytest.approx(times, abs=1e-3)


def test_missing_pts_are_filled_from_the_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.h264", shades(6), options={"bf": "0"})
    with open_stream(tmp_path / "a.h264") as source:
        pts = [frame.pts for frame in source]
    assert pts == pytest.approx([i / 25 for i in range(6)], abs=1e-6)


def test_pictures_come_in_the_order_in_which_they_are_shown_and_none_is_lost(tmp_path: Path) -> None:
    images = shades(30)
    write_video(tmp_path / "a.mp4", images, options={"bf": "3"})
    for threads in (1, 4):
        with open_stream(tmp_path / "a.mp4", threads=threads) as source:
            means = [float(frame.image.mean()) for frame in source]
            assert source.info.frames == len(means) == 30
        assert means == pytest.approx([float(image.mean()) for image in images], abs=3.4)


def test_damage_in_the_middle_is_skipped_counted_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.avi", noise(20), codec="png", pix_fmt="rgb24")
    damage(path, 0.5, 400)
    with caplog.at_level(logging.WARNING), open_stream(path) as source:
        frames = list(source)
        assert source.dropped["damaged"] == 1
    assert len(frames) == 19
    assert [frame.seq for frame in frames] == list(range(19))
    assert frames[-1].pts == pytest.approx(19 / 25, abs=1e-3), "what was lost must leave a gap in the time line"
    assert "a.avi: a packet is damaged and skipped" in caplog.text


def test_a_picture_that_was_cut_in_half_is_not_passed_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = truncate(write_video(tmp_path / "a.avi", noise(20), codec="mpeg4"), 0.6)
    with caplog.at_level(logging.WARNING), open_stream(path) as source:
        delivered = len(list(source))
        assert source.dropped["damaged"] == 1
    assert 0 < delivered < 20
    assert f"ended after {delivered} of 20 pictures" in caplog.text


def test_a_recording_that_broke_off_is_read_to_where_it_ends(tmp_path: Path) -> None:
    path = truncate(write_video(tmp_path / "a.mkv", noise(20)), 0.5)
    with open_stream(path) as source:
        assert 0 < len(list(source)) < 20


def test_an_mp4_without_its_index_is_one_clear_sentence(tmp_path: Path) -> None:
    path = truncate(write_video(tmp_path / "a.mp4", noise(20)), 0.6)
    with pytest.raises(SourceError, match=r"a\.mp4: not a video, or cut off before its index$"):
        open_stream(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file is empty"),
        (b"just words\n" * 50, "not a video, or cut off before its index"),
        (random.Random(0).randbytes(50_000), "not a video, or cut off before its index"),
    ],
    ids=["empty", "text", "noise"],
)
def test_a_file_that_is_no_video_is_one_clear_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(SourceError, match=rf"a\.mp4: {sentence}$"):
        open_stream(tmp_path / "a.mp4")


def test_a_text_file_is_not_played_as_a_film_of_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello\n" * 200)
    with pytest.raises(SourceError, match=r"notes\.txt: is text, not a video$"):
        open_stream(tmp_path / "notes.txt")


def test_sound_alone_is_one_clear_sentence(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.wav", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(SourceError, match="there is no video in it"):
        open_stream(tmp_path / "a.wav")


def test_a_codec_that_nobody_knows_is_one_clear_sentence(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", shades(3))
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(SourceError, match="of a kind that cannot be decoded here"):
        open_stream(path)


def test_a_title_in_an_old_encoding_does_not_keep_a_video_from_opening(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", shades(3), codec="mpeg4", metadata={"title": "Cafe bar"})
    content = path.read_bytes()
    assert b"Cafe bar" in content
    path.write_bytes(content.replace(b"Cafe bar", "Café bar".encode("latin-1")))
    with open_stream(path) as source:
        assert len(list(source)) == 3


def test_a_file_whose_name_looks_like_an_address_is_opened_as_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "concat:a.mkv", shades(3))
    monkeypatch.chdir(tmp_path)
    with open_stream("concat:a.mkv") as source:
        assert len(list(source)) == 3
