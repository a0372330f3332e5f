"""`peoplestream run`: what it shows, and what it keeps to itself."""

from __future__ import annotations

import json
from functools import partial

import pytest
from typer.testing import CliRunner, Result

from stream.cli.app import app
from stream.pipeline import Pipeline
from tests.stream.graphs import assembly


@pytest.fixture(autouse=True)
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.cli.running.Pipeline", partial(Pipeline, assembly=assembly()))


def run(*before: str, after: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(app, [*before, "run", "--source", "testpattern://96x64@25?frames=5", *after])


def test_a_quiet_run_talks_or_another_one_is_quiet() -> None:
    loud, quiet = run(), run("--quiet")
    assert (loud.exit_code, quiet.exit_code) == (0, 0)
    assert "frames per second" in loud.stderr
    assert quiet.stderr == "" and quiet.stdout == ""


def test_a_quiet_run_does_not_print_the_summary_that_was_asked_for() -> None:
    assert json.loads(run("--quiet", after=("--json",)).stdout)["frames"] == 5


def test_a_collector_of_log_lines_meets_a_table() -> None:
    ran = run("--log-json")
    assert ran.exit_code == 0 and ran.stdout == ""
    assert all("message" in json.loads(line) for line in ran.stderr.splitlines())
