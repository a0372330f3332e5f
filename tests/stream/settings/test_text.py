"""The written configuration: complete, true, and without credentials."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from stream.config import Config, StreamConfig
from stream.settings import default_text, effective_text, load_config

DEFAULT = Path(__file__).parents[3] / "configs" / "default.yaml"


def leaves(section: type[BaseModel], prefix: str = "") -> dict[str, str | None]:
    """Every option below `section` by its dotted name, with its description."""
    found: dict[str, str | None] = {}
    for name, info in section.model_fields.items():
        if isinstance(info.default, BaseModel):
            found |= leaves(type(info.default), f"{prefix}{name}.")
        else:
            found[prefix + name] = info.description
    return found


def test_the_committed_default_file_is_the_one_that_the_options_make() -> None:
    assert DEFAULT.read_text() == default_text(), "run: peoplestream config show --defaults > configs/default.yaml"


def test_the_default_file_means_the_defaults() -> None:
    assert load_config(DEFAULT) == Config()


@pytest.mark.parametrize("section", [Config, StreamConfig])
def test_no_option_is_left_unexplained(section: type[BaseModel]) -> None:
    assert [name for name, description in leaves(section).items() if not description] == []


def test_the_default_file_leaves_no_option_out() -> None:
    value = yaml.safe_load(default_text())
    for dotted in leaves(Config):
        at = value
        for key in dotted.split("."):
            assert key in at, dotted
            at = at[key]


def test_the_example_stream_in_the_comments_is_valid_and_complete(tmp_path: Path) -> None:
    lines = default_text().split("\n")
    begin = lines.index(next(line for line in lines if line.startswith("streams: []")))
    example = [line[2:] for line in lines[begin + 1 :] if line.startswith("#  ")]
    (tmp_path / "lobby.mp4").write_bytes(b"x")
    (tmp_path / "a.yaml").write_text("streams:\n" + "\n".join(example))
    (stream,) = load_config(tmp_path / "a.yaml").streams
    assert stream == StreamConfig(id="lobby", source=str(tmp_path / "lobby.mp4"))
    assert stream.model_fields_set == set(StreamConfig.model_fields)


def test_no_line_of_the_default_file_is_too_long_to_read() -> None:
    assert max(map(len, default_text().split("\n"))) <= 120


def test_the_effective_configuration_can_be_read_again(tmp_path: Path) -> None:
    config = load_config(overrides=["batch.size=7", "masks.model="], sources=["testpattern://64x48@25"])
    (tmp_path / "a.yaml").write_text(effective_text(config))
    assert load_config(tmp_path / "a.yaml") == config


def test_the_effective_configuration_holds_no_credentials() -> None:
    text = effective_text(load_config(sources=["rtsp://me:hunter2@cam/door"]))
    assert "rtsp://***@cam/door" in text and "hunter2" not in text
