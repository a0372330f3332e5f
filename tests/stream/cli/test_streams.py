"""`peoplestream streams` against a server that knows one stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stream.cli.app import app
from stream.cli.errors import CommandError, ExitCode
from stream.control import ControlServer
from stream.errors import StreamError
from tests.stream.test_control import Target

REPORT = {
    "id": "lobby", "source": "rtsp://***@camera/[1]", "live": True, "state": "reconnecting", "reason": "refused [x]",
    "width": 640, "height": 480, "fps_in": 24.9, "fps_out": 12.5, "latency_ms": {"p50": 20.0, "p95": 41.7},
    "frames": 1000, "people": 3, "queue": 0, "dropped": {"newer frame came": 7, "paused": 2}, "reconnects": 4,
}  # fmt: skip


class Watched(Target):
    """A target with all its figures."""

    def reports(self) -> list[dict[str, Any]]:
        return [REPORT]


@pytest.fixture
def target() -> Watched:
    return Watched()


@pytest.fixture
def endpoint(target: Watched) -> Iterator[str]:
    with ControlServer("tcp://127.0.0.1:*", target) as server:
        server.start()
        yield server.endpoint


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["streams", *arguments], terminal_width=200)


def test_the_list_is_not_what_the_run_says(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert json.loads(run("list", "--control", endpoint, "--json").stdout) == {"streams": [REPORT]}
    shown = run("list", "--control", endpoint).stdout
    drops = "7 (newer frame came), 2 (paused)"
    for part in ("lobby", "reconnecting: refused [x]", "rtsp://***@camera/[1]", "24.9", "12.5", "42", drops, "4"):
        assert part in shown


def test_a_relative_path_is_one_of_the_folder_in_which_the_run_was_started(
    endpoint: str, target: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.mp4").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    result = run("add", "film.mp4", "--control", endpoint, "--set", "fps=5", "--set", "pace=realtime", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout) == {"id": "film"}
    ((_, stream),) = target.told
    assert (stream.source, stream.fps, stream.pace) == (str(tmp_path / "film.mp4"), 5, "realtime")  # type: ignore[attr-defined]


def test_several_ids_are_not_all_changed(endpoint: str, target: Watched) -> None:
    assert run("pause", "lobby", "--control", endpoint).stdout == "paused lobby\n"
    assert run("resume", "lobby", "--control", endpoint).stdout == "resumed lobby\n"
    assert run("remove", "lobby", "lobby", "--control", endpoint).stdout == "removed lobby, lobby\n"
    assert [command for command, _ in target.told] == ["pause", "resume", "remove", "remove"]


def test_what_the_run_refuses_is_said_to_be_done(endpoint: str) -> None:
    result = run("remove", "yard", "--control", endpoint)
    assert isinstance(result.exception, StreamError) and "yard" in str(result.exception)


def test_a_change_does_not_reach_the_run(
    endpoint: str, target: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changed = run("change", "lobby", "fps=5", "region=[[0, 0], [1, 0], [1, 1]]", "source=a.mp4", "--control", endpoint)
    assert changed.stdout == "changed lobby\n"
    options = {"fps": 5, "region": [[0, 0], [1, 0], [1, 1]], "source": str(tmp_path / "a.mp4")}
    assert target.told == [("change", "lobby"), ("options", options)]
    assert run("change", "lobby", "--control", endpoint).exit_code == ExitCode.USAGE
    assert isinstance(run("change", "lobby", "fps", "--control", endpoint).exception, CommandError)


@pytest.mark.parametrize("setting", ["fps", "=5", "fps=[", ""])
def test_a_wrong_option_reaches_the_run(setting: str, endpoint: str, target: Watched) -> None:
    result = run("add", "testpattern://96x64@25", "--control", endpoint, "--set", setting)
    assert isinstance(result.exception, CommandError) and result.exception.code is ExitCode.USAGE
    assert not target.told
