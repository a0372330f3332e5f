"""`peoplestream evaluate`: what is watched to its end has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.errors import CommandError
from stream.cli.evaluate import evaluate_app
from stream.config import Config
from stream.measuring import comparison


def invoke(tmp_path: Path, video: str) -> BaseException | None:
    (tmp_path / "one.yaml").write_text("")
    return (
        CliRunner().invoke(evaluate_app, ["compare", str(tmp_path / "one.yaml"), "--video", video, "--json"]).exception
    )


@pytest.mark.parametrize(
    ("video", "says"),
    [
        ("rtsp://me:hunter2@cam/1", r"^--video rtsp://\*\*\*@cam/1: a feed has no end; record it, and give the file$"),
        ("testpattern://64x48@25", r"has no end; give it one, as in testpattern://64x48@25\?frames=100$"),
        ("gone.mp4", r"^no such file or folder: gone.mp4"),
    ],
)
def test_what_has_no_end_or_is_not_there_is_watched(tmp_path: Path, video: str, says: str) -> None:
    error = invoke(tmp_path, video)
    assert isinstance(error, CommandError)
    with pytest.raises(CommandError, match=says):
        raise error


def test_an_address_is_taken_for_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched: list[str] = []

    def compare(configs: dict[str, Config], *_: object) -> list[object]:
        watched.extend(config.streams[0].source for config in configs.values())
        return []

    monkeypatch.setattr(comparison, "compare", compare)
    assert invoke(tmp_path, "testpattern://320x240@10?frames=20") is None
    assert watched == ["testpattern://320x240@10?frames=20"]
