"""Recordings of a process that was killed are readable up to their last half second."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from stream.wire import from_json
from tests.stream.sinks.test_mp4 import times

RECORD = """
import sys
from pathlib import Path
from stream.sinks import FORMATS, FolderSink
from tests.stream.sinks.scenes import make_scene
from tests.stream.wire.samples import make_info

sinks = [FolderSink(Path(sys.argv[1]), FORMATS[name]) for name in ("jsonl", "mp4")]
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
    written = len(seen)

    *lines, rest = (tmp_path / "lobby.jsonl").read_text().split("\n")
    assert [from_json(line).seq for line in lines][:written] == seen
    assert rest == "" or deadly == signal.SIGKILL
    shown = times(tmp_path / "lobby.mp4")
    missing = 6 if deadly == signal.SIGKILL else 0  # the fragment that was being made: half a second at ten a second
    assert len(shown) >= written - missing
