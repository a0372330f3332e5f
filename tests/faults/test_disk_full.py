"""The disk of a recorder runs full."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

import pytest

from stream.cli.errors import CommandError, ExitCode
from stream.cli.running import check
from stream.sinks import FORMATS, FolderSink
from tests.faults.cameras import Camera
from tests.faults.watching import Watch, wait_until
from tests.stream.sinks.scenes import recorded_seqs, times, tiny_disk

ROOM = 1 << 20
"""Bytes; what is larger than the pictures that decoders share also fits where only a limit on files can be set."""

LOST = 40
"""Frames that a video may lack: the half second that did not fit, what came after it, and the recorder's queue."""


def test_a_full_disk_costs_more_than_the_recordings_on_it(
    neighbour: Camera, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk, other = tmp_path / "disk", tmp_path / "other"
    streams = ("one", "two")
    with tiny_disk(disk, ROOM):
        record = {"dir": str(disk), "formats": ["jsonl", "mp4"]}
        sinks = [FolderSink(other, FORMATS["jsonl"])]
        with Watch(dict.fromkeys(streams, neighbour.url), sinks=sinks, record=record) as watch:
            before = time.time()
            wait_until(lambda: failed(watch, ".mp4"), 30, "the video not to fit")
            published = {stream: len(watch.results[stream]) for stream in streams}
            if disk.is_mount():  # what the video gave back keeps lines going for a while
                fill(disk)
                wait_until(lambda: failed(watch, ".jsonl"), 10, "a line not to fit")
            time.sleep(1)
            for stream in streams:
                watch.keeps_pace(stream, before, time.time())
        lines = {stream: recorded_seqs(disk / f"{stream}.jsonl") for stream in streams}
        shown = {stream: times(disk / f"{stream}.mp4") for stream in streams}
    assert watch.summary is not None
    for figures in watch.summary.streams:
        stream = figures.stream
        seqs, whole = [result.seq for result in watch.results[stream]], recorded_seqs(other / f"{stream}.jsonl")
        assert set(whole) <= set(seqs) and len(seqs) - len(whole) == figures.dropped.get("recorder too slow", 0)
        assert 0 < published[stream] - LOST <= len(lines[stream]) and lines[stream] == whole[: len(lines[stream])]
        assert published[stream] - LOST <= len(shown[stream]) and shown[stream] == sorted(set(shown[stream]))
    assert all("No space left" in failure or "File too large" in failure for failure in watch.summary.failures)
    told = [record for record in caplog.records if "this recording stops" in record.message]
    assert 1 <= len(told) <= 2 and {record.levelno for record in told} == {logging.ERROR}
    with pytest.raises(CommandError, match="not everything was recorded: cannot record to ") as error:
        check(watch.summary)
    assert error.value.code == ExitCode.FAILED


def failed(watch: Watch, suffix: str) -> bool:
    """Whether a recording of this kind has failed."""
    return any(f"{suffix}: " in failure for failure in watch.failures)


def fill(disk: Path) -> None:
    """Leave no room on a disk."""
    with (disk / "others").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
