"""Environments of peers: what is installed already stays, what cannot be is named."""

import subprocess
import venv
from pathlib import Path

import pytest

from benchmarks import peer_environments
from benchmarks.measure import FailedError
from benchmarks.peer_environments import UnavailableError, environment, yolo11n_pose
from benchmarks.peers import against, compete
from models.errors import WeightsError


@pytest.fixture(autouse=True)
def _no_real_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venv, "create", lambda home, with_pip: home.mkdir(parents=True))


def test_a_peer_that_pip_cannot_install_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[object], **_: object) -> None:
        stderr = "WARNING: slow\nERROR: No matching distribution found for mediapipe==0.10.21\n"
        raise subprocess.CalledProcessError(1, list(map(str, command)), stderr=stderr)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(UnavailableError, match=r"^No matching distribution found for mediapipe==0\.10\.21$"):
        environment("mediapipe", tmp_path)


def test_a_folder_that_nobody_may_write_in_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match=r"^its environment cannot be made: .*; name a folder with --venvs$"):
        environment("mediapipe", tmp_path / "file")


def test_an_environment_that_broke_off_passes_for_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[list[object]] = []

    def interrupt(command: list[object], **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        environment("rtmlib", tmp_path)
    monkeypatch.setattr(venv, "create", lambda home, with_pip: None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: installed.append(command))
    python = environment("rtmlib", tmp_path)
    assert environment("rtmlib", tmp_path) == python == tmp_path / "rtmlib" / "bin" / "python"
    assert len(installed) == 1


def test_weights_that_cannot_be_fetched_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise WeightsError("yolo11n-pose cannot be fetched")

    monkeypatch.setattr(peer_environments, "fetch", fail)
    with pytest.raises(UnavailableError, match="give a file with --ultralytics-weights"):
        yolo11n_pose(tmp_path)
    assert yolo11n_pose(tmp_path, tmp_path / "mine.pt") == tmp_path / "mine.pt"


def test_rounds_are_not_interleaved_or_a_failed_peer_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def run(command: list[str], _: dict[str, str]) -> dict[str, float]:
        order.append(command[0])
        if command[0] == "b":
            raise FailedError("b ended with 1")
        return {"fps": float(len(order))}

    monkeypatch.setattr("benchmarks.peers.run", run)
    figures, failed = compete({"A": ["a"], "B": ["b"], "C": ["c"]}, 2, {}, lambda _: None)
    assert order == ["b", "c", "a", "c", "a"], "whoever comes last each time meets the warmest processor"
    assert figures == {"A": [{"fps": 3.0}, {"fps": 5.0}], "C": [{"fps": 2.0}, {"fps": 4.0}]}
    assert failed == {"B": "b ended with 1"}


def test_a_slow_round_of_the_machine_changes_the_ratio() -> None:
    runs = {"A": [{"fps": 10.0}, {"fps": 5.0}], "B": [{"fps": 20.0}, {"fps": 10.0}]}
    assert against("A", "B", runs) == [2.0, 2.0]
    assert against("A", "gone", runs) == against("gone", "B", runs) == []
