"""What a person can do wrong: one clear sentence on stderr, the right exit code, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from stream.cli import main
from stream.cli.errors import ExitCode
from tests.stream.sources import videos

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def peoplestream(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process; returns its exit code and what it wrote to stderr."""

    def command(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["peoplestream", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        code = left.value.code
        return int(code or 0) if not isinstance(code, str) else 1, capsys.readouterr().err

    return command


def sentence(err: str) -> str:
    """The last thing that was said, on one line."""
    assert "Traceback" not in err
    return " ".join(err.split("peoplestream: ")[-1].split())


def bad_source(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("this is no video\n" * 50)
    elif kind == "truncated":
        videos.write_video(path, videos.noise(5))
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "folder":
        path = folder / "pictures"
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "folder"])
def test_a_bad_source_ends_in_a_traceback_or_another_code(peoplestream: Command, tmp_path: Path, kind: str) -> None:
    path = bad_source(kind, tmp_path)
    code, err = peoplestream("run", "--source", path)
    assert code == ExitCode.NO_FRAMES
    assert path.name in sentence(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--source", "foo://me:hunter2@x/y"],
        ["--source", "rtsp://me:hunter2@cam:99999/1"],
        ["--source", "testpattern://64x64@5", "--set", "detector.weights=gone.pth"],
        ["--source", "testpattern://64x64@5", "--set", "security.keys=gone"],
        ["--source", "testpattern://64x64@5", "--publish", "tcp://0.0.0.0:5555"],
        ["--source", "testpattern://64x64@5", "--insecure", "--control", "tcp://0.0.0.0:5555"],
        ["--source", "testpattern://64x64@5", "--control", "tcp://127.0.0.1:5555", "--web", "127.0.0.1:5555"],
    ],
)
def test_what_can_never_run_is_noticed_only_after_the_networks_are_loaded(
    peoplestream: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("stream.cli.running.Pipeline", None)
    code, err = peoplestream("run", *arguments)
    assert code == ExitCode.USAGE and "hunter2" not in sentence(err) and len(err.splitlines()) == 1


def test_a_bad_source_is_noticed_only_after_the_networks_are_loaded(
    peoplestream: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stream.cli.running.Pipeline", None)
    assert peoplestream("run", "--source", tmp_path / "missing.mp4")[0] == ExitCode.NO_FRAMES


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("streams: [", "cameras.yaml:1"),
        ("detektor: {}\n", "detector"),
        ("streams:\n  - id: a\n    source: testpattern://64x64@5\n    pase: fast\n", ":4"),
        ("batch:\n  size: many\n", "whole number"),
        ("streams:\n  - id: a\n    source: nowhere.mp4\n", "nowhere.mp4"),
        ("detector:\n  model: yolox-tini-humanart\n", "yolox-tiny-humanart"),
    ],
)
def test_a_wrong_configuration_is_not_explained(peoplestream: Command, tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    code, err = peoplestream("run", path)
    assert code == ExitCode.USAGE
    assert says in sentence(err) and "cameras.yaml" in sentence(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "nowhere.yaml"],
        ["run", "--no-such-option"],
        ["run", "--source", "testpattern://64x64@5", "--publish", "localhost:5555"],
        ["run", "--source", "testpattern://64x64@5", "--record", __file__],
        ["run", "--duration", "-3"],
        ["bench"],
        ["nonsense"],
        ["models", "show", "yolo"],
    ],
)
def test_wrong_usage_has_another_exit_code_than_2(peoplestream: Command, arguments: list[str]) -> None:
    assert peoplestream(*arguments)[0] == ExitCode.USAGE


def test_a_busy_port_is_reported_as_a_libzmq_error(peoplestream: Command) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        endpoint = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        code, err = peoplestream("run", "--source", "testpattern://64x64@5?frames=3", "--publish", endpoint)
    assert code == ExitCode.FAILED
    assert endpoint in sentence(err)
    assert "another program" in sentence(err)


def test_an_impossible_folder_is_noticed_only_after_the_whole_video(
    peoplestream: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.pipeline.assemble", None)  # the networks are not even loaded
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "recordings"
    code, err = peoplestream("run", "--source", "testpattern://64x64@5?frames=3", "--record", folder)
    assert code == ExitCode.USAGE
    assert str(folder) in sentence(err)


def test_the_version_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["peoplestream", "--version"])
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    assert capsys.readouterr().out.strip() == version("peoplestream")


def test_weights_that_cannot_be_had_have_another_exit_code_than_4(
    peoplestream: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the cache should be a folder")
    monkeypatch.setenv("PEOPLESTREAM_CACHE", str(blocked))
    code, err = peoplestream("run", "--source", "testpattern://64x64@5?frames=3")
    assert code == ExitCode.NO_WEIGHTS
    assert str(blocked) in sentence(err)


def test_the_help_takes_as_long_as_loading_the_networks() -> None:
    """`--help` must not import torch, which alone takes seconds."""
    code = "import sys; sys.argv = ['peoplestream', '--help']\nfrom stream.cli import main\ntry: main()\n"
    code += "finally: print('torch' in sys.modules, 'openvino' in sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ | {"COLUMNS": "100"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.split()[-2:] == ["False", "False"]
    for command in ("demo", "run", "watch", "models", "evaluate", "bench", "config", "doctor"):
        assert command in done.stdout
