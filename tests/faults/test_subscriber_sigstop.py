"""A subscriber hangs for a while, with its connection open."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.cameras import ROOT, Camera
from tests.faults.programs import crowd
from tests.faults.watching import WITHIN, Listener, Watch, wait_until

FOLLOWER = """
import json, sys
from stream.wire import Subscriber
with Subscriber(sys.argv[1], sys.argv[2:] or None, until_end=True, timeout=30, high_water_mark=10) as results:
    for result in results:
        print(result.stream, result.seq, flush=True)
    print(json.dumps([results.lost, results.malformed]))
"""

STOPPED = 4.0
"""Seconds; what comes meanwhile is far more than all queues hold."""


def test_a_subscriber_that_hangs_costs_others_frames_or_is_never_up_to_date_again(
    neighbour: Camera, tmp_path: Path
) -> None:
    publish = {"endpoint": f"ipc://{tmp_path}/people", "high_water_mark": 10}
    out = tmp_path / "received"
    streams = ("one", "two")
    with (
        Watch(dict.fromkeys(streams, neighbour.url), crowd(people=50), publish=publish) as watch,
        out.open("w") as file,
        subprocess.Popen([sys.executable, "-c", FOLLOWER, watch.endpoint], cwd=ROOT, stdout=file) as follower,
        Listener(watch.endpoint) as healthy,
    ):
        try:
            wait_until(lambda: len(received(out, "two")) > 10, 20, "the subscriber's first frames")
            before = time.time()
            os.kill(follower.pid, signal.SIGSTOP)
            time.sleep(STOPPED)
            now = {stream: watch.results[stream][-1].seq for stream in streams}
            os.kill(follower.pid, signal.SIGCONT)
            for stream in streams:
                wait_until(lambda s=stream: received(out, s)[-1] > now[s], WITHIN, "what is new")
                watch.keeps_pace(stream, before, time.time())
                assert watch.state(stream).latencies.percentiles_ms()[1] < 1000
            watch.stop()
            assert follower.wait(15) == 0
        finally:
            follower.kill()
    lost, malformed = json.loads(out.read_text().splitlines()[-1])
    assert watch.summary is not None
    for figures in watch.summary.streams:
        stream = figures.stream
        seqs, published = received(out, stream), [result.seq for result in watch.results[stream]]
        assert lost[stream] == published[-1] + 1 - seqs[0] - len(seqs) > STOPPED * 25 / 2
        assert seqs == sorted(set(seqs))
        assert [result.seq for result in healthy.results[stream]] == published[-len(healthy.results[stream]) :]
    assert sum(figures.overruns for figures in watch.summary.streams) and not malformed


def test_a_live_stream_waits_with_a_file_for_a_subscriber_that_hangs(neighbour: Camera, tmp_path: Path) -> None:
    publish = {"endpoint": f"ipc://{tmp_path}/people", "high_water_mark": 10}
    out = tmp_path / "received"
    file_ = {"source": "testpattern://96x64@100", "pace": "realtime"}
    with (
        Watch({"live": neighbour.url, "file": file_}, crowd(people=50), publish=publish) as watch,
        out.open("w") as file,
        subprocess.Popen([sys.executable, "-c", FOLLOWER, watch.endpoint, "file"], cwd=ROOT, stdout=file) as follower,
    ):
        try:
            wait_until(lambda: len(received(out, "file")) > 10, 20, "the subscriber's first frames")
            before = time.time()
            os.kill(follower.pid, signal.SIGSTOP)
            time.sleep(STOPPED / 2)
            watch.keeps_pace("live", before, time.time())
        finally:
            follower.kill()
    assert watch.summary is not None
    assert [figures.stream for figures in watch.summary.streams if figures.overruns] == ["file"]


def received(out: Path, stream: str) -> list[int]:
    """The frames of a stream that the subscriber has noted."""
    lines = out.read_text().rpartition("\n")[0].splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith(f"{stream} ")]
