"""Recordings in several files: nothing is lost or doubled where one ends, and only what is ours is deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import pytest

from stream.config import ConfigError, RecordConfig
from stream.settings import load_config
from stream.sinks import FORMATS, FolderSink, open_sinks
from stream.sinks.rotation import Rotation
from stream.types import FrameResult, Image
from tests.stream.sinks.scenes import make_scene, recorded_lines, recorded_seqs, times
from tests.stream.wire.samples import make_info

FRAMES = 60
BY_TIME, BY_SIZE = Rotation(seconds=1.5), Rotation(size=20_000)


def reconnecting(frames: int) -> Iterator[tuple[FrameResult, Image]]:
    """A scene of ten frames a second whose stream is connected again in its middle."""
    for result, image in make_scene(frames):
        yield replace(result, epoch=int(result.seq > frames // 2)), image


def record(folder: Path, name: str, rotation: Rotation | None, frames: int = FRAMES) -> list[Path]:
    sink = FolderSink(folder, FORMATS[name], rotation)
    sink.start(make_info())
    for result, image in reconnecting(frames):
        sink.write(result, image)
    sink.close()
    return sink.paths


@pytest.mark.parametrize("rotation", [BY_TIME, BY_SIZE], ids=["time", "size"])
@pytest.mark.parametrize("name", ["jsonl", "jsonl.zst", "mot", "coco"])
def test_a_record_is_lost_or_doubled_at_the_seam(tmp_path: Path, name: str, rotation: Rotation) -> None:
    (whole,) = record(tmp_path / "whole", name, None)
    rotation = replace(rotation, size=rotation.size and whole.stat().st_size // 4)
    parts = record(tmp_path / "parts", name, rotation)
    assert len(parts) > 2 and parts == sorted(parts)
    if name == "coco":
        assert [entry for path in parts for entry in json.loads(path.read_text())] == json.loads(whole.read_text())
    else:
        assert [line for path in parts for line in recorded_lines(path)] == recorded_lines(whole)


@pytest.mark.parametrize("rotation", [BY_TIME, BY_SIZE], ids=["time", "size"])
def test_a_video_begins_in_the_middle_or_loses_a_frame_at_the_seam(tmp_path: Path, rotation: Rotation) -> None:
    parts = record(tmp_path, "mp4", rotation)
    assert len(parts) > 2
    assert sum(len(times(path)) for path in parts) == FRAMES
    for path in parts:
        with av.open(str(path)) as video:
            first = next(video.demux(video=0))
            assert first.is_keyframe and first.pts == 0


def test_a_file_grows_beyond_what_was_asked_for(tmp_path: Path) -> None:
    longest = max(len(line) + 1 for path in record(tmp_path, "jsonl", None) for line in recorded_lines(path))
    for path in record(tmp_path, "jsonl", BY_SIZE):
        assert path.stat().st_size < 20_000 + longest
    for path in record(tmp_path, "jsonl", BY_TIME):
        assert len(recorded_seqs(path)) <= 15


def test_names_do_not_tell_when_it_was(tmp_path: Path) -> None:
    names = [path.name for path in record(tmp_path, "jsonl.zst", Rotation(seconds=2.0), frames=30)]
    assert names == ["lobby-20231114T221320.123Z.jsonl.zst", "lobby-20231114T221322.123Z.jsonl.zst"]
    again = [path.name for path in record(tmp_path, "jsonl.zst", Rotation(seconds=2.0), frames=1)]
    assert again == ["lobby-20231114T221320.123Z-2.jsonl.zst"]
    assert not any(re.search(r"\d{8}T", path.name) for path in record(tmp_path, "mot", None))


def test_a_clock_that_is_put_back_makes_one_endless_file() -> None:
    assert BY_TIME.is_over(-3600.0, 0)
    assert not BY_TIME.is_over(0.0, 1 << 40) and not BY_SIZE.is_over(1e9, 19_999)


def test_old_files_fill_the_disk_or_those_of_others_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "lobby-20000101T000000.000Z.jsonl").write_text("from a run before\n")
    paths = record(tmp_path, "jsonl", replace(BY_TIME, keep=2))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {path.name for path in paths} | {"lobby-20000101T000000.000Z.jsonl"}
    assert [recorded_seqs(path)[-1] for path in paths] == [44, FRAMES - 1]


def test_a_file_that_somebody_else_deleted_ends_the_recording(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path, FORMATS["jsonl"], replace(BY_TIME, keep=2))
    sink.start(make_info())
    for result, _ in make_scene(FRAMES):
        sink.write(result, None)
        for path in sink.paths[:-1]:
            path.unlink(missing_ok=True)
    sink.close()
    assert len(sink.paths) == 2


def test_a_stream_that_left_keeps_its_file_open(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path, FORMATS["coco"])
    for _ in range(2):
        sink.start(make_info())
        for result, _ in make_scene(3):
            sink.write(result, None)
        sink.finish("lobby")
        sink.finish("nobody")
    assert [path.name for path in sink.paths] == ["lobby.json", "lobby-2.json"]
    sink.close()


def test_files_are_kept_that_never_end() -> None:
    with pytest.raises(ConfigError, match=r"record\.keep_segments: needs segments"):
        load_config(None, ["record.keep_segments=5"], ["testpattern://64x64@25"])


def test_the_configuration_is_not_what_the_files_follow(tmp_path: Path) -> None:
    asked = {"dir": str(tmp_path), "formats": ["jsonl"], "segment_seconds": 1.0, "segment_mb": 0.1, "keep_segments": 2}
    (sink,) = open_sinks(RecordConfig.model_validate(asked))
    sink.start(make_info())
    for result, _ in make_scene(35, people=12):
        sink.write(result, None)
    sink.close()
    assert len(sink.paths) == 2 and all(path.stat().st_size < 110_000 for path in sink.paths)
