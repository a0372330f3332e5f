"""What a machine lacks for a configuration is told before a run, at the option that needs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.config import ConfigError
from stream.settings import load_config
from stream.wire import KeyFolder


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str) -> list[str]:
    Path("run.yaml").write_text(text)
    with pytest.raises(ConfigError) as failure:
        load_config(Path("run.yaml"))
    return str(failure.value).split("\n")


def test_weights_that_are_not_there_are_missed_when_the_networks_are_built(folder: Path) -> None:
    (folder / "mine.pth").touch()
    assert problems("detector:\n  weights: mime.pth\n") == [
        "run.yaml:2: detector.weights: no such file or folder: mime.pth; did you mean mine.pth?; "
        "give the path of a file, pretrained or random"
    ]
    assert load_config(overrides=["detector.weights=mine.pth"]).detector.weights == "mine.pth"
    assert "pose.weights: no such file or folder: http://x/y" in problems("pose: {weights: 'http://x/y'}\n")[0]


def test_weights_of_a_network_that_is_not_used_are_asked_for() -> None:
    load_config(overrides=["masks={model: null, weights: gone.pth}"])


def test_keys_that_are_not_there_are_missed_when_the_socket_is_bound(folder: Path) -> None:
    make = "`peoplestream keys create server --dir nokeys`"
    assert problems("security: {keys: nokeys}\npublish: {endpoint: 'tcp://*:5555'}\n") == [
        f"run.yaml:1: security.keys: nokeys has no server.key_secret: make it with {make}"
    ]
    KeyFolder(folder / "keys").create("server")
    load_config(overrides=["security.keys=keys", "publish.endpoint='tcp://*:5555'", "control.endpoint='tcp://*:5556'"])


def test_an_address_without_keys_is_missed_when_it_is_bound() -> None:
    (problem,) = problems("publish: {endpoint: 'tcp://0.0.0.0:5555'}\n")
    assert problem.startswith("run.yaml:1: publish.endpoint: will not publish at tcp://0.0.0.0:5555 in the clear")
    load_config(overrides=["publish.endpoint='tcp://0.0.0.0:5555'", "security.insecure=true"])


def test_insecure_opens_the_socket_for_commands() -> None:
    (problem,) = problems("control: {endpoint: 'tcp://0.0.0.0:5556'}\nsecurity: {insecure: true}\n")
    assert "control.endpoint: will not take commands at" in problem and "--insecure does not open it" in problem


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a /proc, which permits everything and then refuses")
def test_a_folder_that_cannot_be_made_is_missed_when_it_is_recorded_to() -> None:
    assert problems("record: {dir: /proc/xx}\n") == [
        "run.yaml:1: record.dir: cannot be made in /proc: No such file or directory; choose another folder"
    ]


def test_looking_for_a_folder_leaves_one_behind(folder: Path) -> None:
    load_config(overrides=["record.dir=out/today"])
    assert list(folder.iterdir()) == []


def test_what_is_lacking_is_told_only_when_all_else_is_right() -> None:
    text = (
        "threads: x\ndetector: {weights: gone.pth}\nsecurity: {keys: 5}\npublish: {endpoint: 'tcp://*:5555'}\n"
        "streams: [{id: a, source: 'foo://x'}]\n"
    )
    assert [problem.split(": ")[1] for problem in problems(text)] == [
        "threads", "detector.weights", "security.keys", "streams.0.source",
    ]  # fmt: skip


def test_another_machine_is_asked_for_what_a_run_needs() -> None:
    overrides = ["detector.weights=gone.pth", "security.keys=gone", "record.dir=/proc/xx"]
    assert load_config(overrides=overrides, here=False).security.keys == "gone"
