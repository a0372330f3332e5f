"""What the driver's tool says is read wrongly, or breaks what only wanted to know."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from models.nvidia_smi import GPUState, SmiUnavailableError, gpu_states

ROW = "NVIDIA H200, 570.86.15, 143771, 1980, 1980, 3201, 41, 702.13, 700.00"


def tool(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts an nvidia-smi into the path that does what `script` says."""
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_fields_are_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, f'case "$1" in *reasons*) echo 0x0000000000000024;; *) echo "{ROW}";; esac')
    (state,) = gpu_states()
    assert state == GPUState(
        "NVIDIA H200", "570.86.15", 143771, 1980, 1980, 3201, 41, 702.13, 700,
        ("power cap", "software thermal slowdown"),
    )  # fmt: skip


def test_an_idle_gpu_counts_as_slowed_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, f'case "$1" in *reasons*) echo 0x0000000000000001;; *) echo "{ROW}";; esac')
    assert gpu_states()[0].slowed == ()


def test_an_older_driver_that_knows_other_names_breaks_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = 'case "$1" in *event*) echo "Field is not a valid field to query." ; exit 2;; *throttle*) echo 0x8;;'
    tool(tmp_path, monkeypatch, f'{old} *) echo "{ROW}";; esac')
    assert gpu_states()[0].slowed == ("hardware slowdown",)


def test_what_a_gpu_does_not_tell_breaks_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = "NVIDIA GH200, 550.1, 97871, 1980, 1980, 2619, 30, [N/A], [N/A]"
    tool(tmp_path, monkeypatch, f'case "$1" in *reasons*) exit 2;; *) echo "{row}"; echo "{ROW}";; esac')
    first, second = gpu_states()
    assert (first.watts, first.slowed, second.watts) == (None, None, 702.13)


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 'NVIDIA-SMI has failed because it could not communicate'; exit 9", "fails: NVIDIA-SMI has failed"),
        ("exit 0", "it says nothing"),
        ("echo 'half, a row'", "fails: half, a row"),
    ],
)
def test_a_tool_that_fails_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, sentence: str
) -> None:
    tool(tmp_path, monkeypatch, script)
    with pytest.raises(SmiUnavailableError, match=sentence):
        gpu_states()


def test_a_tool_that_hangs_hangs_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool(tmp_path, monkeypatch, "exec sleep 20")
    monkeypatch.setattr("models.nvidia_smi.TIMEOUT", 0.2)
    with pytest.raises(SmiUnavailableError, match="does not answer"):
        gpu_states()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has the tool")
def test_a_machine_without_the_driver_is_a_traceback() -> None:
    with pytest.raises(SmiUnavailableError, match="no NVIDIA driver is installed"):
        gpu_states()
