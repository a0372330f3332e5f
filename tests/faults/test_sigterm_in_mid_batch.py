"""The program is told to end while the networks are at work."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from stream.graph import DRAIN
from tests.faults.cameras import Camera
from tests.faults.programs import Program
from tests.faults.watching import Listener, children, is_alive, wait_until
from tests.stream.sinks.scenes import recorded_seqs, times

MODEL_SECONDS = 0.6
"""What a batch takes, so that a signal hits one."""

FILE = "testpattern://96x64@25"


def watching(camera: Camera, folder: Path, model_seconds: float) -> Program:
    """A program that watches a camera and a file, and records both."""
    record = {"dir": str(folder / "recorded"), "formats": ["jsonl", "mp4"]}
    return Program(folder, {"cam": camera.url, "file": FILE}, model_seconds=model_seconds, record=record)


@pytest.mark.slow
def test_a_signal_costs_the_frames_that_are_in_the_networks(neighbour: Camera, tmp_path: Path) -> None:
    with watching(neighbour, tmp_path, MODEL_SECONDS) as program, Listener(program.endpoint, recover=True) as listener:
        listener.wait_for("cam", since=time.time())
        sent = time.time()
        program.send(signal.SIGTERM)
        assert program.wait(DRAIN) == 0, program.errors
        wait_until(lambda: listener.subscriber.ended, 5, "word of the end")
    assert "stopping: frames under way are being finished" in program.errors and "Traceback" not in program.errors
    for figures in program.summary()["streams"]:
        stream = figures["stream"]
        received = [result.seq for result in listener.results[stream]]
        recorded = recorded_seqs(tmp_path / "recorded" / f"{stream}.jsonl")
        in_networks = [result for result in listener.results[stream] if result.published_at > sent]
        assert in_networks and (stream == "file" or in_networks[0].captured_at < sent)
        assert recorded[-len(received) :] == received, "it joined late, and missed nothing afterwards"
        assert len(recorded) == figures["frames"] == len(times(tmp_path / "recorded" / f"{stream}.mp4"))
        lost = recorded[-1] + 1 - len(recorded)
        assert lost <= figures["dropped"].get("newer frame came", 0) and (stream == "cam" or not lost)


def test_a_second_signal_does_not_force_the_end_or_costs_recordings(neighbour: Camera, tmp_path: Path) -> None:
    with watching(neighbour, tmp_path, 2.0) as program:
        wait_until(lambda: bool(children(program.pid)), 5, "the decoder")
        decoders = children(program.pid)
        program.send(signal.SIGTERM)
        wait_until(lambda: "once more to leave at once" in program.errors, 2, "the first signal to be heard")
        time.sleep(0.2)
        assert not program.ended
        program.send(signal.SIGTERM)
        assert program.wait(1) == 128 + signal.SIGTERM
        wait_until(lambda: not any(map(is_alive, decoders)), 2, "the end of the decoders")
    recorded = recorded_seqs(tmp_path / "recorded" / "file.jsonl")
    assert recorded and recorded == list(range(len(recorded)))
