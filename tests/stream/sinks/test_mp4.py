"""Video: every frame at its time, any size, and readable however it ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from stream.sinks.mp4 import Mp4Writer
from tests.stream.sinks.scenes import full_disk, make_frame, make_scene, times
from tests.stream.wire.samples import make_info, make_result


@pytest.mark.parametrize("size", [(96, 128), (95, 127), (1, 1), (3, 5), (2, 64), (64, 2)])
def test_an_odd_size_is_refused_or_cut(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info(size=size))
    for result, image in make_scene(3, size=size):
        writer.write(result, image)
    writer.close()
    with av.open(str(writer.file.path)) as video:
        frames = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    assert [frame.shape for frame in frames] == [(size[0] + size[0] % 2, size[1] + size[1] % 2, 3)] * 3


def test_colours_come_out_wrong(tmp_path: Path) -> None:
    image = np.zeros((64, 96, 3), np.uint8)
    image[:, :32], image[:, 32:64], image[:, 64:] = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info(size=(64, 96)))
    writer.write(make_result(people=0, size=(64, 96)), image)
    writer.close()
    with av.open(str(writer.file.path)) as video:
        shown = next(video.decode(video=0)).to_ndarray(format="bgr24")
    for column in (16, 48, 80):
        assert np.abs(shown[16, column].astype(int) - image[16, column]).max() < 12


def test_uneven_times_become_even_ones(tmp_path: Path) -> None:
    pts = [3.0, 3.1, 3.15, 3.9, 4.0]
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    for (result, image), at in zip(make_scene(len(pts)), pts, strict=True):
        writer.write(replace(result, pts=at), image)
    writer.close()
    assert times(writer.file.path) == pytest.approx([0.0, 0.1, 0.15, 0.9, 1.0])


def test_a_source_that_begins_again_breaks_the_time_line(tmp_path: Path) -> None:
    moments = [(0, 5.0), (0, 5.1), (1, 0.0), (1, 0.1), (1, 0.1), (1, 1e12), (1, 1e12 + 0.2), (1, -1e12)]
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    for (result, image), (epoch, at) in zip(make_scene(len(moments)), moments, strict=True):
        writer.write(replace(result, epoch=epoch, pts=at), image)
    writer.close()
    assert times(writer.file.path) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8], abs=2e-3)


def test_a_full_disk_takes_the_whole_video(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    written = 0
    with full_disk(1_500_000), pytest.raises(OSError, match="too large"):
        for result, image in make_scene(100, size=(240, 320)):
            writer.write(result, image)
            written += 1
    writer.close()
    assert 5 < written < 100
    assert written - 6 <= len(times(writer.file.path)) <= written  # a fragment has five frames


def test_a_video_is_recorded_without_pictures(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    with pytest.raises(OSError, match="needs the image of every frame"):
        writer.write(make_result(), None)
    writer.close()


def test_the_frame_that_others_use_is_drawn_into(tmp_path: Path) -> None:
    result = make_result()
    image = make_frame(result)
    before = image.copy()
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    writer.write(result, image)
    writer.close()
    assert (image == before).all()


@pytest.mark.parametrize("fps", [0.0, 0.01, 29.97, 90_000.0])
def test_a_frame_rate_that_nobody_believes_is_refused(tmp_path: Path, fps: float) -> None:
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info(fps=fps))
    for result, image in make_scene(3):
        writer.write(result, image)
    writer.close()
    assert times(writer.file.path) == pytest.approx([0.0, 0.1, 0.2])


def test_a_video_without_frames_fails_to_close(tmp_path: Path) -> None:
    Mp4Writer(tmp_path / "lobby.mp4", make_info()).close()


def test_a_disk_that_fills_at_the_very_end_breaks_the_video(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "lobby.mp4", make_info())
    for result, image in make_scene(13):  # two fragments of five, and three frames that wait for the end
        writer.write(result, image)
    with full_disk(writer.file.path.stat().st_size), pytest.raises(OSError, match="too large"):
        writer.close()
    assert len(times(writer.file.path)) == 10
