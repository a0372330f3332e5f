"""`peoplestream models compile` and `models engines`, with networks whose compilation is a file that is written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from models.backends import Choice
from models.backends.cache import EngineCache, EngineKey
from stream import assembly
from stream.cli.models import models_app

REFUSED = ("tensorrt: this machine has no NVIDIA driver",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineCache:
    monkeypatch.setenv("PEOPLESTREAM_CACHE", str(tmp_path))
    return EngineCache()


def build(folder: Path) -> dict[str, Any]:
    (folder / "engine.bin").write_bytes(b"engine" * 50_000)
    return {"error": 0.004}


def assemble(*_: object, engines: EngineCache) -> SimpleNamespace:
    """A detector that is kept, and a mask network with a part that is not."""
    engines.get_or_build("net-openvino-bfloat16", EngineKey({"device": "a processor"}), build)
    return SimpleNamespace(
        choices={
            "detector": Choice("openvino", "bfloat16", "a processor", "the fastest", REFUSED, 0.004),
            "masks/encoder": Choice("torch", "float32", "cpu", "asked for torch", REFUSED, 0.0),
        },
        models={"detector": "net", "masks": "sam"},
    )


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "assemble", assemble)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(models_app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.usefixtures("assembled")
def test_compiling_tells_neither_what_serves_nor_what_it_took() -> None:
    lines = run("compile").splitlines()
    assert lines[1].split()[:5] == ["detector", "net", "openvino", "bfloat16", "0.004"]
    assert lines[1].endswith("MB  compiled")
    assert lines[2].split()[:4] == ["masks/encoder", "sam", "torch", "float32"] and "nothing to keep" in lines[2]
    assert lines[3:] == ["not used: tensorrt: this machine has no NVIDIA driver"], "told once, not for every network"


@pytest.mark.usefixtures("assembled")
def test_what_is_compiled_is_compiled_again() -> None:
    run("compile")
    assert "was there" in run("compile")


@pytest.mark.usefixtures("assembled")
def test_a_program_cannot_read_what_was_compiled(cache: EngineCache) -> None:
    detector, encoder = json.loads(run("compile", "--json"))
    assert detector["fresh"] and detector["size"] > 300_000 and Path(detector["folder"]).parent == cache.folder
    assert detector["refused"] == list(REFUSED)
    assert encoder["folder"] is None and encoder["seconds"] is None


def test_a_setting_that_does_not_exist_is_ignored() -> None:
    result = CliRunner().invoke(models_app, ["compile", "--set", "detector.bakend=cuda"])
    assert result.exit_code != 0


@pytest.mark.usefixtures("assembled")
def test_a_damaged_engine_is_not_listed_as_such(cache: EngineCache) -> None:
    run("compile")
    damaged = cache.get_or_build("old", EngineKey({}), build)
    (damaged.folder / "engine.json").write_text("{")
    listed = run("engines")
    assert "net-openvino-bfloat16" in listed and "a processor" in listed
    assert "not usable: engine.json is damaged" in listed
    kept, broken = json.loads(run("engines", "--json"))
    assert kept["name"] == "net-openvino-bfloat16" and kept["facts"] == {"error": 0.004}
    assert "damaged" in broken["unusable"]


def test_an_empty_cache_is_an_error(cache: EngineCache) -> None:
    assert run("engines").strip() == f"0 engines in {cache.folder}"
    assert json.loads(run("engines", "--json")) == []
