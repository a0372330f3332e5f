"""ctrl-C in the middle of `peoplestream run --record`: every recording is whole, and all of them end together."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.oracles.pretrained import RTMPOSE, YOLOX, pretrained
from tests.stream.sinks.scenes import recorded_seqs, times

COMMAND = [sys.executable, "-c", "from stream.cli import main; main()", "run"]
OPTIONS = ["--set", "masks.model=null", "--set", "record.formats=[jsonl, jsonl.zst, mp4, mot, coco]", "--json"]


@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_recordings_that_nobody_can_read(tmp_path: Path, wanted: signal.Signals) -> None:
    for model in (YOLOX, RTMPOSE):
        pretrained(model)
    source = "testpattern://320x240@25"
    process = subprocess.Popen(
        [*COMMAND, "--source", source, "--record", str(tmp_path), *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    lines = tmp_path / "testpattern.jsonl"
    deadline = time.monotonic() + 120
    while not (lines.exists() and lines.read_bytes().count(b"\n") >= 10):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate(timeout=10)
        time.sleep(0.1)
    process.send_signal(wanted)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "stopping" in errors and "Traceback" not in errors

    frames = json.loads(output)["frames"]
    assert recorded_seqs(lines) == recorded_seqs(lines.with_suffix(".jsonl.zst")) == list(range(frames))
    assert len(times(lines.with_suffix(".mp4"))) == frames
    assert recorded_seqs(lines.with_suffix(".txt")) == recorded_seqs(lines.with_suffix(".json"))
