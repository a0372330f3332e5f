"""`peoplestream config`, as a person or a script calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stream.cli.app import app
from stream.cli.config import config_app
from stream.cli.errors import ExitCode, exit_code
from stream.config import Config, ConfigError
from stream.settings import default_text


def call(*arguments: object) -> Result:
    return CliRunner().invoke(config_app, [str(argument) for argument in arguments])


@pytest.fixture
def good(tmp_path: Path) -> Path:
    (tmp_path / "run.yaml").write_text("streams: [{id: hall, source: 'testpattern://64x48@25'}]\n")
    return tmp_path / "run.yaml"


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    (tmp_path / "run.yaml").write_text("threads: x\nbatch: {siz: 3}\n")
    return tmp_path / "run.yaml"


def test_check_says_ok_and_names_the_streams(good: Path) -> None:
    result = call("check", good)
    assert (result.exit_code, result.stdout) == (0, f"ok: {good}, 1 stream: hall\n")


def test_check_tells_every_problem_on_stderr_and_exits_with_2(bad: Path) -> None:
    result = call("check", bad)
    assert result.exit_code == 2 and result.stdout == ""
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [f"{bad}:1", f"{bad}:2"]


@pytest.mark.parametrize(("option", "value"), [("--publish", "localhost:5555"), ("--record", __file__)])
def test_a_run_begins_with_what_check_refuses(option: str, value: str) -> None:
    error = CliRunner().invoke(app, ["run", "--source", "testpattern://64x48@25", option, value]).exception
    assert isinstance(error, ConfigError) and exit_code(error) == ExitCode.USAGE


def test_check_speaks_json_to_machines(good: Path, tmp_path: Path) -> None:
    result = call("check", good, "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"ok": True, "streams": ["hall"]})
    result = call("check", tmp_path / "gone.yaml", "--json")
    report = json.loads(result.stdout)
    assert result.exit_code == 2 and not report["ok"]
    assert set(report["problems"][0]) == {"where", "key", "message"}


def test_show_prints_what_a_run_would_use(good: Path) -> None:
    result = call("show", good, "--source", "rtsp://me:hunter2@cam/door", "--set", "batch.size=9", "--json")
    shown = json.loads(result.stdout)
    assert shown["batch"]["size"] == 9
    assert [stream["source"] for stream in shown["streams"]] == ["testpattern://64x48@25", "rtsp://***@cam/door"]
    assert "size: 9" in call("show", good, "--set", "batch.size=9").stdout


def test_another_machine_cannot_show_what_a_run_would_use(good: Path) -> None:
    assert call("show", good, "--set", "security.keys=gone", "--set", "detector.weights=gone.pth").exit_code == 0


@pytest.mark.parametrize("option", ["source: 'rtsp://cam:99999/1'", "source: 'ftp://cam/1'"])
def test_check_calls_an_address_good_that_a_run_would_try_for_ever(tmp_path: Path, option: str) -> None:
    (tmp_path / "run.yaml").write_text(f"streams:\n  - id: a\n    {option}\n")
    result = call("check", tmp_path / "run.yaml")
    assert result.exit_code == 2 and result.stderr.startswith(f"{tmp_path}/run.yaml:3: streams.0.source: ")


def test_show_fails_as_a_run_would(bad: Path) -> None:
    assert isinstance(call("show", bad).exception, ConfigError)


def test_the_defaults_are_a_file_to_start_from() -> None:
    assert call("show", "--defaults").stdout == default_text()


def test_the_defaults_are_not_mixed_with_anything_else(good: Path) -> None:
    assert call("show", good, "--defaults").exit_code == 2


def test_the_schema_is_the_one_of_the_configuration() -> None:
    assert json.loads(call("schema").stdout) == Config.model_json_schema()
