"""`peoplestream bench`: what cannot be is said before the work for it is done."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.bench import bench_app
from stream.cli.errors import CommandError, ExitCode


def test_a_trace_that_cannot_be_written_is_noticed_after_the_run(tmp_path: Path) -> None:
    trace = tmp_path / "no" / "trace.json"
    error = CliRunner().invoke(bench_app, ["pipeline", "--source", "nowhere.mp4", "--trace", str(trace)]).exception
    assert isinstance(error, CommandError) and error.code == ExitCode.USAGE
    assert str(error) == f"cannot write {trace}: No such file or directory; choose another file"


@pytest.mark.parametrize("frames", ["0", "-5"])
def test_no_frames_are_decoded(frames: str) -> None:
    result = CliRunner().invoke(bench_app, ["decode", "--source", "testpattern://64x48@25", "--frames", frames])
    assert result.exit_code == ExitCode.USAGE and "'--frames'" in result.output
