"""`peoplestream doctor`: what it says of a machine on which a run would fail."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from models.backends import BackendUnavailableError
from models.backends.cache import EngineCache, EngineKey
from models.nvidia_smi import GPUState
from models.weights import path_of
from models.zoo import load_zoo
from stream.cli import doctor as command

app = typer.Typer()
app.command()(command.doctor)


def examine(cache: Path, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and state and detail of every finding."""
    result = CliRunner().invoke(app, ["--json", *arguments], env={"PEOPLESTREAM_CACHE": str(cache)})
    findings = json.loads(result.stdout)["findings"]
    return result.exit_code, {finding["what"]: (finding["state"], finding["detail"]) for finding in findings}


@pytest.mark.parametrize("below", ["", "x"])
def test_a_cache_that_cannot_be_made_is_fine(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / below
    code, findings = examine(cache)
    assert code == 1
    assert findings["cache"][0] == "broken" and f"weights cannot be stored in {cache}" in findings["cache"][1]


def test_damaged_weights_are_merely_absent(tmp_path: Path) -> None:
    path = path_of(load_zoo().entry("yolox-tiny-humanart"), tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    code, findings = examine(tmp_path)
    state, detail = findings["weights, detector"]
    assert (code, state) == (1, "broken")
    assert f"{path} is damaged" in detail and "peoplestream models pull yolox-tiny-humanart" in detail


def test_weights_that_are_still_to_be_fetched_are_a_failure(tmp_path: Path) -> None:
    code, findings = examine(tmp_path / "new" / "cache")
    assert code == 0
    assert findings["weights, pose"] == (
        "absent",
        "rtmpose-s-halpe26: weights not present: pull with peoplestream models pull rtmpose-s-halpe26",
    )
    assert findings["cache"] == ("ok", str(tmp_path / "new" / "cache"))


def test_weights_that_may_not_be_read_are_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("models.weights.state", refuse)
    code, findings = examine(tmp_path)
    assert code == 1
    assert (
        findings["weights, masks"][0] == "broken"
        and "cannot be read: Permission denied" in findings["weights, masks"][1]
    )


def test_paths_and_brackets_are_cut_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = "/" + "folder/" * 40 + "peoplestream[cpu]"
    monkeypatch.setattr(command, "_examine", lambda _: iter([command.Finding("weights", "ok", detail)]))
    result = CliRunner().invoke(app, [], env={"COLUMNS": "40"})
    assert result.stdout == f"ok      weights  {detail}\n"


def test_the_weights_of_a_configuration_are_not_those_that_it_names(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    config = tmp_path / "config.yaml"
    config.write_text(
        f"detector: {{model: yolox-s, weights: {mine}}}\npose: {{weights: random}}\nmasks: {{model: null}}\n"
    )
    code, findings = examine(tmp_path / "cache", str(config))
    assert code == 1
    assert findings["weights, detector"] == ("broken", f"yolox-s: {mine} is not there")
    assert "random weights" in findings["weights, pose"][1]
    assert "weights, masks" not in findings
    mine.touch()
    assert examine(tmp_path / "cache", str(config))[1]["weights, detector"] == ("ok", f"yolox-s: {mine}")


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has an NVIDIA driver")
def test_a_machine_without_a_gpu_is_not_told_what_it_lacks(tmp_path: Path) -> None:
    """Every finding is the real one of this machine."""
    code, findings = examine(tmp_path)
    assert code == 0
    assert findings["gpu"] == (
        "absent",
        "there is no nvidia-smi here, so no NVIDIA driver is installed; everything runs on the processor",
    )
    assert findings["gpu, torch"] == ("absent", "this machine has no NVIDIA driver")
    state, detail = findings["gpu, decoding"]
    assert state == "absent" and "decoded on the processor: this machine has no NVIDIA driver" in detail


def test_a_gpu_that_is_held_down_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = GPUState("NVIDIA H200", "570.86.15", 143771, 300, 1980, 3201, 90, 702, 700, ("power cap",))
    monkeypatch.setattr("models.nvidia_smi.gpu_states", lambda: [state])
    _, findings = examine(tmp_path)
    assert findings["gpu 0"] == ("ok", "NVIDIA H200, driver 570.86.15, held down by: power cap")


def test_a_backend_that_a_configuration_asks_for_and_nobody_has_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Absent:
        name = "cuda"

        def precisions(self) -> tuple[str, ...]:
            raise BackendUnavailableError("this machine has no NVIDIA driver")

    class Here:
        name = "torch"

        def precisions(self) -> tuple[str, ...]:
            return ("float32",)

    monkeypatch.setattr("models.backends.backends", lambda: iter([Absent(), Here()]))
    config = tmp_path / "config.yaml"
    config.write_text("detector: {backend: cuda}\npose: {precision: int8}\nmasks: {backend: torch}\n")
    code, findings = examine(tmp_path / "cache", str(config))
    assert code == 1
    assert findings["backend, detector"] == (
        "broken",
        "cuda auto cannot be had: cuda: this machine has no NVIDIA driver",
    )
    state, detail = findings["backend, pose"]
    assert state == "broken" and "torch: it does not compute in int8 here" in detail
    assert findings["backend, masks"] == ("ok", "torch auto")


def test_a_network_that_nobody_has_calibrated_is_fine_in_int8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Here:
        name = "openvino"

        def precisions(self) -> tuple[str, ...]:
            return ("int8", "float32")

    monkeypatch.setattr("models.backends.backends", lambda: iter([Here()]))
    config = tmp_path / "config.yaml"
    config.write_text("detector: {precision: int8}\n")
    code, findings = examine(tmp_path / "cache", str(config))
    state, detail = findings["backend, detector"]
    assert (code, state) == (1, "broken")
    assert detail.endswith("yolox-tiny-humanart is not calibrated; do so with peoplestream models calibrate")
    kept = EngineCache(tmp_path / "cache" / "engines")
    kept.get_or_build(
        "yolox-tiny-humanart-openvino-int8", EngineKey({}), lambda folder: {"bytes": (folder / "x").write_text("x")}
    )
    assert examine(tmp_path / "cache", str(config))[1]["backend, detector"] == ("ok", "auto int8")


def test_what_a_run_is_refused_for_is_fine(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"security: {{keys: {tmp_path}/nokeys}}\nrecord: {{dir: {config}}}\n")
    code, findings = examine(tmp_path / "cache", str(config))
    assert code == 1
    assert findings["security.keys"][0] == findings["record.dir"][0] == "broken"
    assert "nokeys has no server.key_secret" in findings["security.keys"][1]
