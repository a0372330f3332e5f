"""JSON lines, MOT and COCO files say what their readers expect."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zstandard
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from stream.sinks.coco import CocoWriter
from stream.sinks.jsonl import JsonlWriter, ZstdJsonlWriter
from stream.sinks.mot import MotWriter
from stream.types import FrameResult, People
from stream.wire import from_json
from tests.stream.sinks.scenes import full_disk
from tests.stream.wire.samples import make_result


def result_of(boxes: list[list[float]], ids: list[int], *, epoch: int = 0, predicted: bool = False) -> FrameResult:
    people = People.untracked(np.array(boxes, np.float32), np.full(len(boxes), 0.5, np.float32), frame_size=(96, 128))
    people = replace(people, ids=np.array(ids), predicted=np.full(len(boxes), predicted))
    return replace(make_result(seq=4), epoch=epoch, people=people)


def mot_lines(path: Path, *results: FrameResult) -> list[str]:
    writer = MotWriter(path / "lobby.txt")
    for result in results:
        writer.write(result)
    writer.close()
    return writer.file.path.read_text().splitlines()


def test_compressed_lines_are_whole_only_when_the_file_is_closed(tmp_path: Path) -> None:
    """After every line, and after one that found no room, the file is a whole Zstandard stream."""
    writer = ZstdJsonlWriter(tmp_path / "lobby.jsonl.zst")
    expected = []
    for seq in range(12):
        with full_disk(writer.file.size + 100 if seq in (0, 5) else 10**6):
            try:
                writer.write(make_result(seq=seq, people=0 if seq in (1, 2) else 12))
                expected.append(seq)
            except OSError:
                assert seq in (0, 5)
        data = writer.file.path.read_bytes()
        lines = []
        while data:
            frame = zstandard.ZstdDecompressor().decompressobj()
            lines += frame.decompress(data).splitlines()
            assert frame.eof
            data = frame.unused_data
        assert [from_json(line).seq for line in lines] == expected
    writer.close()
    assert expected == [1, 2, 3, 4, *range(6, 12)]


def test_compression_makes_lines_longer(tmp_path: Path) -> None:
    sizes = []
    for writer in (JsonlWriter(tmp_path / "a.jsonl"), ZstdJsonlWriter(tmp_path / "a.jsonl.zst")):
        for seq in range(20):
            writer.write(make_result(seq=seq))
        writer.close()
        sizes.append(writer.file.path.stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


def test_mot_counts_from_zero(tmp_path: Path) -> None:
    assert mot_lines(tmp_path, result_of([[0, 10, 20, 60]], [7])) == ["5,7,1.00,11.00,20.00,50.00,0.5000,-1,-1,-1"]


def test_mot_gives_two_persons_of_two_epochs_one_id(tmp_path: Path) -> None:
    box = [[0.0, 0, 9, 9]]
    epochs = [
        result_of(box, [3]),
        result_of(box, [1], epoch=1),
        result_of(box, [-1], epoch=1),
        result_of(box, [1], epoch=2),
    ]
    assert [line.split(",")[1] for line in mot_lines(tmp_path, *epochs)] == ["3", "4", "-1", "5"]


def test_people_whom_nobody_saw_are_recorded_as_seen(tmp_path: Path) -> None:
    unseen = result_of([[0, 0, 9, 9]], [1], predicted=True)
    assert mot_lines(tmp_path, unseen) == []
    writer = CocoWriter(tmp_path / "lobby.json")
    writer.write(unseen)
    writer.close()
    assert json.loads(writer.file.path.read_text()) == []


def test_people_who_were_not_looked_at_in_a_frame_are_missing_from_the_record(tmp_path: Path) -> None:
    carried = result_of([[0, 0, 9, 9]], [1], predicted=True)
    keypoints = np.full((1, 17, 3), 0.5, np.float32)
    carried = replace(carried, people=replace(carried.people, keypoints=keypoints))
    assert len(mot_lines(tmp_path, carried)) == 1
    writer = CocoWriter(tmp_path / "lobby.json")
    writer.write(carried)
    writer.close()
    assert len(json.loads(writer.file.path.read_text())) == 1


def test_coco_is_no_json_before_the_end(tmp_path: Path) -> None:
    writer = CocoWriter(tmp_path / "lobby.json")
    for seq, people in enumerate((0, 2, 0, 1)):
        result = make_result(seq=seq, people=people)
        writer.write(replace(result, people=replace(result.people, predicted=np.zeros(people, np.bool_))))
        assert len(json.loads(writer.file.path.read_text())) == (0, 2, 2, 3)[seq]
    writer.close()


def test_coco_cannot_load_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = make_result(people=3)
    result = replace(result, people=replace(result.people, predicted=np.zeros(3, np.bool_)))
    writer = CocoWriter(tmp_path / "lobby.json")
    writer.write(result)
    writer.close()
    truth = COCO()
    truth.dataset = {"images": [{"id": 0, "width": 128, "height": 96}], "categories": [{"id": 1}], "annotations": []}
    truth.createIndex()
    loaded = json.loads(writer.file.path.read_text())
    for i, entry in enumerate(loaded):
        x1, y1, x2, y2 = result.people.boxes[i]
        assert entry["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=0.011)
        assert len(entry["keypoints"]) == 51
        if result.people.rle(i) is not None:
            assert (coco_mask.decode(entry["segmentation"]) == result.people.mask(i)).all()
    assert len(truth.loadRes(str(writer.file.path)).anns) == 3
    capsys.readouterr()
