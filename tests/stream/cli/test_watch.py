"""`peoplestream watch`: every frame as a line, a table that tells of loss, and a sentence where nothing comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream.cli.watch import _Figures
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


def test_what_is_said_without_a_terminal_follows_on_the_line_of_the_table() -> None:
    command = [*COMMAND, "tcp://127.0.0.1:9", "--timeout", "0.2"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, env=WIDE
    )
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[-2] == "waiting for tcp://127.0.0.1:9 ..."
    assert lines[-1].startswith("peoplestream: nothing came")


def test_what_is_no_endpoint_has_another_exit_code_than_2() -> None:
    done = subprocess.run([*COMMAND, "localhost:5555"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "it is no endpoint" in done.stderr and "Traceback" not in done.stderr


def test_the_help_shows_marks_of_its_layout() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=60, check=True, env=WIDE)
    assert "\b" not in done.stdout and "\\b" not in done.stdout
    assert "--stream lobby --json > lobby.jsonl" in done.stdout


def test_the_rate_of_a_stream_that_has_ended_is_that_of_its_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = _Figures()
    for moment in (100.0, 104.0, 108.0, 110.0, 110.5):
        monkeypatch.setattr(time, "monotonic", lambda moment=moment: moment)
        figures.take(make_result())
    assert figures.fps(111.0, over=False) == 2.0
    assert figures.fps(200.0, over=True) == pytest.approx(4 / 10.5)


@pytest.mark.parametrize("moments", [(), (100.0,)])
def test_the_rate_of_too_few_frames_is_a_division_by_zero(
    monkeypatch: pytest.MonkeyPatch, moments: tuple[float, ...]
) -> None:
    figures = _Figures()
    for moment in moments:
        monkeypatch.setattr(time, "monotonic", lambda moment=moment: moment)
        figures.take(make_result())
    assert figures.fps(100.0, over=True) == figures.fps(100.0, over=False) == 0.0


def test_ctrl_c_leaves_a_traceback() -> None:
    with Publisher("tcp://127.0.0.1:0") as publisher, watching(publisher, "--json") as process:
        publisher.send(make_result())
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
