"""docs/configuration.md says what is true: its examples load, and what it shows is what is printed."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest

from stream.config import Config, ConfigError
from stream.settings import load_config
from tests.stream.sources.videos import shades, write_images

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that the examples speak of."""
    (tmp_path / "clips").mkdir()
    for name in ("clips/lobby.mp4", "lobby.mp4"):
        (tmp_path / name).write_bytes(b"x")
    write_images(tmp_path / "walk", {"1.png": shades(1)[0]})
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_example_in_the_documentation_loads(folder: Path, text: str) -> None:
    (folder / "lobby.yaml").write_text(text)
    assert (load_config(folder / "lobby.yaml") == Config()) == text.startswith("# yaml-language-server")


def test_there_are_examples_to_load() -> None:
    assert len(blocks("yaml")) >= 4 and len(blocks("sh")) == 1 and len(blocks("text")) == 1


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_every_command_in_the_documentation_is_understood(folder: Path, line: str) -> None:
    (folder / "lobby.yaml").write_text("")
    words = shlex.split(line)
    assert words[:2] == ["peoplestream", "run"]
    options = list(itertools.pairwise(words))
    path = Path("lobby.yaml") if "lobby.yaml" in words else None
    config = load_config(
        path,
        overrides=[value for option, value in options if option == "--set"],
        sources=[value for option, value in options if option == "--source"],
    )
    assert config != Config()


def test_the_problems_in_the_documentation_are_those_that_are_printed(folder: Path) -> None:
    (folder / "lobby.yaml").write_text(
        "streams:\n  - id: lobby\n    source: loby.mp4\n    pace: realtim\nbatch:\n  deadline: 5\n"
    )
    with pytest.raises(ConfigError) as failure:
        load_config(Path("lobby.yaml"))
    assert str(failure.value) == blocks("text")[0].strip()
