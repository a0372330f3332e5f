"""docs/recording.md says what is true: its configuration loads, and its programs read what was recorded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream.settings import load_config
from stream.sinks import FORMATS, open_sinks
from stream.types import FrameResult
from tests.stream.sinks.scenes import make_scene
from tests.stream.wire.samples import make_info

DOCUMENT = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


def test_the_documented_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "record.yaml").write_text(blocks("yaml")[0])
    config = load_config(tmp_path / "record.yaml", (), ["testpattern://64x64@25"])
    assert [sink.needs_images for sink in open_sinks(config.record)] == [False, True]


def test_the_documented_programs_cannot_read_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(None, ["record.dir=out", "record.formats=[jsonl, jsonl.zst]"], ["testpattern://64x64@25"])
    for sink in open_sinks(config.record):
        sink.start(make_info())
        for result, _ in make_scene(5):
            sink.write(result, None)
        sink.close()
    programs = blocks("python")
    assert len(programs) == 2
    for program in programs:
        names: dict[str, list[FrameResult]] = {}
        exec(program, names)
        assert [result.seq for result in names["results"]] == list(range(5))


def test_a_format_is_not_in_the_table() -> None:
    for name, kind in FORMATS.items():
        assert f"| `{name}` | `lobby{kind.suffix}` |" in DOCUMENT
