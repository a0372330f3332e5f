"""Recordings of a process that was killed, or whose disk is full, are readable up to their last half second."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stream.sinks import FORMATS, FolderSink, SinkError
from tests.stream.sinks.scenes import make_scene, recorded_seqs, times, tiny_disk
from tests.stream.wire.samples import make_info

FRAGMENT = 6
"""Frames that a video may lose: half a second at ten a second, and the one being written."""

RECORD = """
import sys
from pathlib import Path
from stream.sinks import FORMATS, FolderSink
from tests.stream.sinks.scenes import make_scene
from tests.stream.wire.samples import make_info

sinks = [FolderSink(Path(sys.argv[1]), kind) for kind in FORMATS.values()]
for sink in sinks:
    sink.start(make_info())
try:
    for result, image in make_scene(100_000):
        for sink in sinks:
            sink.write(result, image)
        print(result.seq, flush=True)
except KeyboardInterrupt:
    for sink in sinks:
        sink.close()
"""


def measured(seqs: Sequence[int]) -> list[int]:
    """Those of the scene's frames in which somebody was seen and not only carried on."""
    scene = make_scene(max(seqs, default=-1) + 1)
    return [result.seq for result, _ in scene if result.seq in seqs and not result.people.predicted.all()]


def missing(folder: Path, name: str, seqs: Sequence[int]) -> list[int]:
    """Frames that were written and are not in the only recording in `folder`; of a video as many as are missing."""
    path = folder / f"lobby{FORMATS[name].suffix}"
    if name == "mp4":
        return list(seqs[len(times(path)) :])
    expected = measured(seqs) if name in ("mot", "coco") else seqs
    return sorted(set(expected) - set(recorded_seqs(path)))


@pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGINT])
def test_a_kill_takes_the_recording_with_it(tmp_path: Path, deadly: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout is not None
    seen = [int(process.stdout.readline()) for _ in range(38)]
    process.send_signal(deadly)
    seen += map(int, process.communicate(timeout=30)[0].split())

    for name in FORMATS:
        lost = missing(tmp_path, name, seen)
        assert len(lost) <= (FRAGMENT if name == "mp4" and deadly == signal.SIGKILL else 0), name


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_full_disk_takes_the_recording_with_it(tmp_path: Path, name: str) -> None:
    folder, written = tmp_path / "disk", []
    with tiny_disk(folder, 1 << 17):
        sink = FolderSink(folder, FORMATS[name])
        sink.start(make_info())
        with pytest.raises(SinkError, match=r"^cannot record to .*lobby\.[a-z0-9.]+: (No space left|File too large)"):
            for result, image in make_scene(2000):
                sink.write(result, image)
                written.append(result.seq)
        try:
            sink.close()
        except SinkError as error:
            assert name == "mp4", error
        assert len(written) > 10
        lost = missing(folder, name, written)
    assert len(lost) <= (FRAGMENT if name == "mp4" else 0)
