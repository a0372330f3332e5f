"""`peoplestream watch`: every frame as a line, a table that tells of loss, and a sentence where nothing comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from stream.wire import Publisher, StreamStatus, from_json
from tests.stream.wire.samples import make_info, make_result

COMMAND = [sys.executable, "-c", "from stream.cli import main; main()", "watch"]
WIDE = {**os.environ, "COLUMNS": "160"}


@contextmanager
def watching(publisher: Publisher, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, once it has subscribed."""
    command = [*COMMAND, publisher.endpoint, *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=WIDE)
    try:
        publisher.announce(make_info())
        publisher.wait_for_subscribers(["lobby"], 1, timeout=60)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_frames_are_missing_among_the_lines() -> None:
    with Publisher("tcp://127.0.0.1:0") as publisher, watching(publisher, "--json", "--stream", "lobby") as process:
        for seq in range(50):
            publisher.send(make_result(seq=seq))
        publisher.report(StreamStatus("lobby", 0, "ended", 50))
        output, errors = process.communicate(timeout=30)
    assert [from_json(line).seq for line in output.splitlines()] == list(range(50))
    assert (process.returncode, errors) == (0, "")


def test_loss_is_kept_from_who_reads_lines() -> None:
    with Publisher("tcp://127.0.0.1:0") as publisher, watching(publisher, "--json", "--count", "2") as process:
        for seq in (3, 7, 8):
            publisher.send(make_result(seq=seq))
        output, errors = process.communicate(timeout=30)
    assert len(output.splitlines()) == 2
    assert (process.returncode, errors) == (0, "frames lost: lobby 3\n")


def test_the_table_is_silent_about_loss_and_failure() -> None:
    with Publisher("tcp://127.0.0.1:0") as publisher, watching(publisher) as process:
        publisher.send(make_result(seq=0))
        publisher.send(make_result(seq=12))
        publisher.report(StreamStatus("lobby", 0, "failed", 13, "the [cable] is out"))
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    row = output.splitlines()[-1].split()
    assert row[:2] == ["lobby", "failed"] and "11" in row
    assert "[cable]" in output


def test_nobody_publishes_and_nothing_is_said() -> None:
    done = subprocess.run(
        [*COMMAND, "tcp://127.0.0.1:9", "--timeout", "0.2"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 3
    assert "nothing came from tcp://127.0.0.1:9 within 0.2 s" in done.stderr and "Traceback" not in done.stderr


def test_ctrl_c_leaves_a_traceback() -> None:
    with Publisher("tcp://127.0.0.1:0") as publisher, watching(publisher, "--json") as process:
        publisher.send(make_result())
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
