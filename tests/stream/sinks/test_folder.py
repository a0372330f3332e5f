"""A folder of recordings: one file for each stream, and one sentence for what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from stream.config import RecordConfig
from stream.sinks import FORMATS, FolderSink, SinkError, open_sinks
from stream.wire import from_json
from tests.stream.sinks.scenes import full_disk, make_frame
from tests.stream.wire.samples import make_info, make_result


def test_two_streams_write_into_one_file(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path, FORMATS["jsonl"])
    sink.start(make_info("lobby"))
    sink.start(make_info("gate"))
    for seq in range(3):
        sink.write(make_result("lobby", seq), None)
        sink.write(make_result("gate", seq), None)
    sink.close()
    assert sorted(path.name for path in sink.paths) == ["gate.jsonl", "lobby.jsonl"]
    for path in sink.paths:
        lines = path.read_text().splitlines()
        assert [(r.stream, r.seq) for r in map(from_json, lines)] == [(path.stem, seq) for seq in range(3)]


def test_a_stream_without_frames_leaves_an_empty_file(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out", FORMATS["jsonl"])
    sink.start(make_info())
    sink.close()
    assert not sink.paths and not (tmp_path / "out").exists()


def test_pictures_of_another_size_go_into_the_same_video(tmp_path: Path) -> None:
    sink = FolderSink(tmp_path, FORMATS["mp4"])
    sink.start(make_info())
    for seq, size in enumerate([(96, 128), (96, 128), (64, 80)]):
        result = make_result(seq=seq, size=size)
        sink.write(result, make_frame(result))
    sink.close()
    assert [path.name for path in sink.paths] == ["lobby.mp4", "lobby-2.mp4"]


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_full_disk_is_a_traceback(tmp_path: Path, name: str) -> None:
    sink = FolderSink(tmp_path, FORMATS[name])
    sink.start(make_info())
    with full_disk(5000), pytest.raises(SinkError, match=r"^cannot record to .*lobby\.[a-z0-9.]+: File too large$"):
        for seq in range(200):
            result = make_result(seq=seq)
            sink.write(result, make_frame(result))
    sink.close()
    assert 0 < sink.paths[0].stat().st_size <= 5000


def test_a_folder_that_cannot_be_made_is_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    sink = FolderSink(tmp_path / "taken" / "out", FORMATS["jsonl"])
    sink.start(make_info())
    with pytest.raises(SinkError, match=r"cannot record to .*lobby\.jsonl: Not a directory"):
        sink.write(make_result(), None)


def test_the_configuration_names_other_formats_than_there_are(tmp_path: Path) -> None:
    annotation = RecordConfig.model_fields["formats"].annotation
    assert set(get_args(get_args(annotation)[0])) == set(FORMATS)
    assert open_sinks(RecordConfig()) == []
    sinks = open_sinks(RecordConfig.model_validate({"dir": str(tmp_path), "formats": ["mot", "mp4"]}))
    assert [sink.needs_images for sink in sinks] == [False, True]
