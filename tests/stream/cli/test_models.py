"""`peoplestream models` over a small zoo on a loopback server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from models.errors import UnknownModelError, WeightsError
from models.weights import path_of
from models.zoo import Entry, Figure, ModelEntry, UrlSource, Zoo
from stream.cli import models as command
from stream.cli.errors import ExitCode, exit_code
from tests.models.serving import Page, Server

CONTENT = b"weights" * 1000


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture
def zoo(server: Server, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    zoo = Zoo(
        models=(model("net-s", server.serve("/s", Page(CONTENT)), default=True), model("net-m", f"{server.url}/gone")),
        assets=(Entry(**basics("clip", server.serve("/clip", Page(CONTENT)))),),
    )
    monkeypatch.setattr(command, "load_zoo", lambda: zoo)
    return zoo


def basics(name: str, url: str) -> dict[str, object]:
    return {
        "name": name,
        "file": f"{name}.bin",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "licence": "MIT",
        "provenance": "trained on nothing; check the terms",
        "sources": (UrlSource(url=url),),
    }


def model(name: str, url: str, *, default: bool = False) -> ModelEntry:
    return ModelEntry(
        **basics(name, url),
        default=default,
        role="pose",
        architecture="rtmpose",
        arguments={"scale": "s"},
        format="onnx",
        accuracy=(Figure(metric="keypoint AP", value=0.5, data="COCO"),),
    )


@pytest.fixture
def run(zoo: Zoo, tmp_path: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(command.models_app, [*arguments, "--cache", str(tmp_path)], env={"COLUMNS": "200"})

    return run


def code(result: Result) -> int:
    """The exit code of the whole command: an error that leaves a sub-command is turned into one by `main`."""
    escaped = result.exception is not None and not isinstance(result.exception, SystemExit)
    return exit_code(result.exception) if escaped else result.exit_code


def test_list_tells_what_is_here_and_what_only_the_official_server_has(run: Callable[..., Result]) -> None:
    run("pull", "net-s")
    lines = {line.split()[0]: line for line in run("list").stdout.splitlines() if line}
    assert "yes" in lines["net-s"]
    assert "keypoint AP 0.500" in lines["net-s"]
    assert "no †" in lines["net-m"]
    assert "asset" in lines["clip"]


def test_list_is_json_for_programs(run: Callable[..., Result]) -> None:
    listed = {item["name"]: item for item in json.loads(run("list", "--json").stdout)}
    assert listed["net-s"]["state"] == "absent"
    assert listed["net-s"]["accuracy"] == [{"metric": "keypoint AP", "value": 0.5, "data": "COCO"}]
    assert [listed[name]["default"] for name in ("net-s", "net-m", "clip")] == [True, False, False]


def test_show_tells_licence_data_terms_sources_and_path(run: Callable[..., Result], zoo: Zoo, tmp_path: Path) -> None:
    shown = run("show", "net-m").stdout
    entry = zoo.entry("net-m")
    for fact in ("MIT", "check the terms", str(entry.sources[0]), str(path_of(entry, tmp_path)), str(entry.sha256)):
        assert fact in shown
    assert "weights not present: pull with 'peoplestream models pull net-m' (only its official server has it)" in shown


def test_show_is_json_for_programs(run: Callable[..., Result]) -> None:
    shown = json.loads(run("show", "clip", "--json").stdout)
    assert (shown["role"], shown["state"], shown["size"]) == ("asset", "absent", len(CONTENT))


def test_pull_prints_the_path_of_every_file(run: Callable[..., Result], zoo: Zoo, tmp_path: Path) -> None:
    result = run("pull", "net-s", "clip")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(path_of(zoo.find(name), tmp_path)) for name in ("net-s", "clip")]


def test_pull_all_default_fetches_the_default_pipeline_alone(run: Callable[..., Result], tmp_path: Path) -> None:
    run("pull", "--all-default")
    assert [path.name for path in (tmp_path / "weights").iterdir()] == ["net-s"]


def test_pull_without_a_name_is_a_usage_error(run: Callable[..., Result]) -> None:
    result = run("pull")
    assert result.exit_code == ExitCode.USAGE
    assert "--all-default" in result.stderr


def test_pull_goes_on_after_a_file_that_cannot_be_had_and_exits_4(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("pull", "net-m", "clip")
    assert code(result) == ExitCode.NO_WEIGHTS
    assert isinstance(result.exception, WeightsError)
    assert "net-m cannot be fetched" in str(result.exception)
    assert (tmp_path / "weights" / "clip" / "clip.bin").exists()


@pytest.mark.parametrize("subcommand", ["show", "pull", "verify"])
def test_an_unknown_name_is_a_usage_error_with_a_suggestion(run: Callable[..., Result], subcommand: str) -> None:
    result = run(subcommand, "net-x")
    assert code(result) == ExitCode.USAGE
    assert isinstance(result.exception, UnknownModelError)
    assert "did you mean net-" in str(result.exception)


def test_verify_checks_all_that_was_fetched(run: Callable[..., Result]) -> None:
    run("pull", "net-s", "clip")
    result = run("verify")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["present  net-s", "present  clip"]


def test_verify_exits_4_on_a_damaged_file_and_says_how_to_mend_it(
    run: Callable[..., Result], zoo: Zoo, tmp_path: Path
) -> None:
    run("pull", "net-s")
    path_of(zoo.find("net-s"), tmp_path).write_bytes(b"damaged")
    result = run("verify", "--json")
    assert json.loads(result.stdout) == [{"name": "net-s", "state": "corrupt"}]
    assert code(result) == ExitCode.NO_WEIGHTS
    assert "peoplestream models pull net-s" in str(result.exception)


def test_verify_exits_4_on_a_missing_file_that_was_named(run: Callable[..., Result]) -> None:
    assert code(run("verify", "net-s")) == ExitCode.NO_WEIGHTS


def test_verify_of_an_empty_cache_says_that_there_is_nothing(run: Callable[..., Result]) -> None:
    result = run("verify")
    assert result.exit_code == 0
    assert "nothing was fetched yet" in result.stdout


def test_the_help_of_verify_promises_4_for_an_empty_cache() -> None:
    group = typer.main.get_command(command.models_app)
    assert "Without names, an empty cache is fine" in " ".join((group.commands["verify"].help or "").split())


def test_every_sub_command_explains_itself() -> None:
    group = typer.main.get_command(command.models_app)
    assert sorted(group.commands) == ["calibrate", "compile", "engines", "list", "pull", "show", "verify"]
    assert all(len(sub.help or "") > 60 for sub in group.commands.values())


def test_models_without_public_weights_or_without_weights_look_like_missing_downloads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    secret = model("secret-net", "http://127.0.0.1/x").model_copy(update={"sources": (), "sha256": None})
    rule = model("rule", "http://127.0.0.1/x").model_copy(
        update={"sources": (), "sha256": None, "file": "", "format": None, "role": "masks"}
    )
    joint = model("joint", "http://127.0.0.1/x").model_copy(update={"role": "detector", "gives": ("keypoints",)})
    monkeypatch.setattr(command, "load_zoo", lambda: Zoo(models=(secret, rule, joint)))

    def output(*arguments: str) -> str:
        invoked = CliRunner().invoke(command.models_app, [*arguments, "--cache", str(tmp_path)], env={"COLUMNS": "200"})
        assert invoked.exit_code == 0
        return invoked.stdout

    lines = [line for line in output("list").splitlines() if line.startswith(("secret", "rule", "joint"))]
    assert [line.split()[0] for line in lines] == ["joint", "secret-net", "rule"], "not ordered by role"
    assert "detector + keypoints" in lines[0] and "no ‡" in lines[1] and "needs none" in lines[2]
    assert lines[2].split()[2:4] == ["MIT", "-"], "a method without a file has no size"
    assert json.loads(output("list", "--json"))[1]["path"] is None, "nor a place in the cache"
    assert "weights not present: give your own" in output("show", "secret-net")
    assert "needs none" in output("show", "rule") and "sha256" not in output("show", "rule")
