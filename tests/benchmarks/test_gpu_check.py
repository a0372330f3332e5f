"""benchmarks/gpu_check.py: that it ends, and says what is, on a machine without a GPU and where a check goes wrong.

What it does on a GPU is run here on the processor, as far as it knows no difference.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.gpu import ceilings, crew, networks, processing, sweep, video
from benchmarks.gpu.outcome import Check, FailedError, Figures, Outcome, Setting
from benchmarks.gpu.supervise import ROOT, attempt, supervised, write
from models.backends import CompileSpec, Input, Source
from models.backends.cuda import on_device
from models.tasks import Boxes, Float, Image
from stream.assembly import Assembly
from tests.stream.graphs import Walker, assembly

CPU = torch.device("cpu")

without_gpu = pytest.mark.skipif(
    torch.cuda.is_available() or shutil.which("nvidia-smi") is not None, reason="this machine has a GPU"
)


@without_gpu
def test_a_machine_without_a_gpu_makes_it_fail_or_gives_no_reason(tmp_path: Path) -> None:
    out = tmp_path / "results" / "check.json"
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(out)], cwd=ROOT, capture_output=True, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    report = json.loads(out.read_text())
    assert report["counts"] == {"pass": 0, "fail": 0, "unavailable": len(report["checks"])}
    reasons = {check["name"]: check["reason"] for check in report["checks"]}
    assert len(reasons) == 15
    assert "no nvidia-smi" in reasons.pop("environment")
    assert "this machine has no NVIDIA driver" in reasons.pop("nvdec")
    assert set(reasons.values()) == {"this machine has no NVIDIA driver"}


def check(limit: float = 20.0, missing: str | None = None) -> Check:
    return Check("one", limit, lambda: missing, lambda _: {})


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with code -11"),
        ("raise MemoryError('no room')", "ended with code 1: MemoryError: no room"),
        ("", "ended with code 0: it said nothing"),
    ],
)
def test_a_check_that_crashes_ends_the_others(tmp_path: Path, code: str, reason: str) -> None:
    outcome = supervised(check(), ["-c", code], tmp_path / "answer", left=60)
    assert outcome.result == "fail" and outcome.reason.startswith(reason)


def test_a_check_that_hangs_is_waited_for(tmp_path: Path) -> None:
    outcome = supervised(check(limit=1.0), ["-c", "import time; time.sleep(60)"], tmp_path / "answer", left=60)
    assert (outcome.result, outcome.reason) == ("fail", "took more than its 1 seconds")


def test_a_check_is_begun_after_the_time_for_all(tmp_path: Path) -> None:
    outcome = supervised(check(), ["-c", "import time; time.sleep(60)"], tmp_path / "answer", left=0)
    assert (outcome.result, outcome.seconds) == ("unavailable", 0) and "used up" in outcome.reason


def test_a_check_that_misses_something_is_started(tmp_path: Path) -> None:
    outcome = supervised(check(missing="no GPU"), ["-c", "import time; time.sleep(60)"], tmp_path / "answer", left=60)
    assert (outcome.result, outcome.reason) == ("unavailable", "no GPU")


def test_figures_are_lost_between_the_processes(tmp_path: Path) -> None:
    expected = Outcome("one", "pass", "", {"fps": 3.5, "steps": [{"streams": 1}]})
    write(expected, tmp_path / "written.json")
    copy = f"import shutil; shutil.copy({str(tmp_path / 'written.json')!r}, {str(tmp_path / 'answer')!r})"
    outcome = supervised(check(), ["-c", copy], tmp_path / "answer", left=60)
    assert (outcome.result, outcome.figures) == ("pass", expected.figures) and outcome.seconds > 0


def failing(_: Setting) -> Figures:
    raise FailedError("too slow", {"fps": 1})


def raising(_: Setting) -> Figures:
    raise ValueError("of no use\nand more")


def test_a_failure_loses_its_figures_or_its_sentence(tmp_path: Path) -> None:
    failed = attempt(Check("a", 1, lambda: None, failing), Setting(tmp_path))
    assert (failed.result, failed.reason, failed.figures) == ("fail", "too slow", {"fps": 1})
    broken = attempt(Check("b", 1, lambda: None, raising), Setting(tmp_path))
    assert (broken.result, broken.reason) == ("fail", "ValueError: of no use")


def test_a_ceiling_cannot_be_measured() -> None:
    assert ceilings.copy_gb_s(CPU, 1 << 20) > 0.01
    assert ceilings.matmul_tflop_s(CPU, torch.float32, 512) > 0  # smaller ones round to 0 on a busy machine


def test_processing_is_not_as_on_the_processor() -> None:
    figures = processing.checked(CPU, (96, 128), 2)
    assert {name: figures[name] for name in processing.LIMITS}.keys() == processing.LIMITS.keys()
    assert figures["letterbox_ms"] > 0


def test_processing_that_differs_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processing, "letterbox", lambda images, size: (np.zeros((3, *size, 3), np.uint8), None))
    with pytest.raises(FailedError, match=r"letterbox_grey_levels \d+ \(allowed: 1\)") as failure:
        processing.checked(CPU, (96, 128), 2)
    assert failure.value.figures["nms"] == 0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    made = video.clip(folder, 192, 108, 30)
    assert video.clip(folder, 192, 108, 30).stat().st_mtime_ns == made.stat().st_mtime_ns, "it was made again"
    return made


def test_the_laps_of_the_clip_are_not_a_video(tmp_path: Path) -> None:
    with av.open(str(video.clip(tmp_path, 96, 64, 20, laps=3))) as container:
        decoded = [
            (round(float(frame.time or 0) * video.FPS), frame.to_ndarray()) for frame in container.decode(video=0)
        ]
    assert [number for number, _ in decoded] == list(range(60))
    assert all((first == again).all() for (_, first), (_, again) in zip(decoded[:20], decoded[40:], strict=True))


def test_decoders_are_not_counted_together(clip: Path) -> None:
    assert video.rate(clip, 2, "none", lasting=0.3) > 30


@without_gpu
def test_a_decoder_on_the_processor_is_taken_for_one_on_the_gpu(clip: Path) -> None:
    reason = "decoded on the processor: this machine has no NVIDIA driver"
    with pytest.raises(FailedError, match=f"2 decoders at once: {reason}"):
        video.rate(clip, 2, "cuda", lasting=0.3)
    with pytest.raises(FailedError, match=reason):
        video.compare(clip)


def measuring(clip: Path, networks: Assembly, seconds: tuple[float, float]) -> Callable[[int], Figures]:
    return lambda streams: sweep.step(clip, networks, streams, seconds)


def test_streams_that_are_held_are_not(clip: Path) -> None:
    figures = sweep.swept(measuring(clip, assembly(), (0.5, 1.0)), (1, 2), 1000.0)
    assert figures["streams_held"] == 2 and [of["streams"] for of in figures["steps"]] == [1, 2]
    assert figures["steps"][1]["people_per_frame"] == 1 and figures["steps"][1]["fps"] > 45


def test_streams_that_are_not_held_are(clip: Path) -> None:
    def slow(_: Sequence[Image]) -> None:
        time.sleep(0.2)

    with pytest.raises(FailedError, match="not even 1 stream") as failure:
        sweep.swept(measuring(clip, assembly(slow), (0.5, 1.0)), (1, 2), 1000.0)
    assert len(failure.value.figures["steps"]) == 1 and failure.value.figures["steps"][0]["delivered"] < 0.9


def test_the_start_of_the_streams_counts_as_a_part_of_the_measurement(clip: Path) -> None:
    slow = [0.7, 0.0]

    def starting(_: Sequence[Image]) -> None:
        time.sleep(slow.pop(0) if slow else 0.0)

    figures = sweep.swept(measuring(clip, assembly(starting), (0.3, 1.0)), (2,), 500.0)
    assert figures["streams_held"] == 2 and figures["steps"][0]["latency_ms_p95"] < 500


def test_streams_that_do_not_all_start_cost_the_figures_of_those_that_did(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "START", 0.1)

    def stuck(_: Sequence[Image]) -> None:
        time.sleep(0.5)

    with pytest.raises(FailedError, match="not even 2 stream") as failure:
        sweep.swept(measuring(clip, assembly(stuck), (0.1, 0.1)), (2,), 1000.0)
    assert failure.value.figures["steps"][0]["reason"] == "not every stream was running after 0.1 seconds"


def test_processes_that_share_a_gpu_are_not_measured_at_the_same_time(clip: Path) -> None:
    with crew.crew(clip, assembly, 2, (0.5, 1.0)) as (measure, networks):
        figures = [measure(streams) for streams in (2, 3)]
    assert networks == {"networks": {}}
    assert [[part["streams"] for part in of["of_each_worker"]] for of in figures] == [[1, 1], [2, 1]]
    assert all(of["delivered"] > 0.9 and of["latency_ms_p95"] > 0 for of in figures)
    assert figures[1]["fps"] > 70


def broken() -> Assembly:
    raise RuntimeError("no networks here")


def test_a_process_that_fails_is_waited_for(clip: Path) -> None:
    with pytest.raises(FailedError, match="RuntimeError: no networks here"), crew.crew(clip, broken, 2):
        raise AssertionError("the networks are not there")


def test_the_speed_of_a_network_on_a_device_is_not_measured() -> None:
    class Doubling(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return pixels.float().mean(dim=(1, 2))

    inputs = (Input.pixels(16, 16),)
    runner = on_device(Doubling(), CompileSpec(inputs, "float32", 1), CPU, "the processor")
    eager = networks.eager_on(Source(Doubling(), inputs), CPU)
    figures = networks.speed(runner, inputs, 4, eager)
    assert figures["ms"] > 0 and figures["times_eager_float32"] > 0


@without_gpu
@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx", "cuda"])
def test_a_backend_that_is_missing_is_tried(backend: str) -> None:
    assert networks.missing(backend, "float16") == "this machine has no NVIDIA driver"


def test_a_backend_of_another_version_is_tried() -> None:
    assert networks.missing("quantum", "float16") == "there is no backend quantum in this version"
    assert networks.missing("torch", "float4") == "this GPU does not compute float4"


class Moved(Walker):
    """Finds everybody so many pixels to the right, and nobody in images narrower than that."""

    def __init__(self, pixels: float) -> None:
        super().__init__()
        self._pixels = pixels

    def _box(self, height: int, width: int) -> Boxes:
        found = super()._box(height, width)
        return Boxes(found.xyxy + np.array([self._pixels, 0, self._pixels, 0], np.float32), found.scores)


def pose(pixels: float) -> object:
    def estimate(_: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        return [np.full((len(of_image), 17, 3), 1 + pixels, np.float32) for of_image in boxes]

    return estimate


def test_a_network_that_sees_elsewhere_is_as_good() -> None:
    images = [np.zeros((480, 640, 3), np.uint8)] * 3
    same = networks.distances((Walker(), pose(0)), (Walker(), pose(0)), images)  # type: ignore[arg-type]
    assert (same["boxes_px_p99"], same["keypoints_px_p99"], same["found_by_one_alone"], same["people"]) == (0, 0, 0, 3)
    moved = networks.distances((Moved(3), pose(1)), (Walker(), pose(0)), images)  # type: ignore[arg-type]
    assert moved["boxes_px_p99"] == 3 and moved["keypoints_px_p99"] == pytest.approx(2**0.5, abs=1e-4)
    away = networks.distances((Moved(300), pose(0)), (Walker(), pose(0)), images)  # type: ignore[arg-type]
    assert away["found_by_one_alone"] == 6


@pytest.mark.slow
@pytest.mark.weights
def test_the_networks_of_the_check_are_not_the_defaults(tmp_path: Path) -> None:
    tried = networks.Networks("torch", "float32")
    figures = tried.figures(None)
    assert figures["weights"] == "pretrained" and figures["people"] > 0
    assert (figures["boxes_px_p99"], figures["keypoints_px_p99"], figures["found_by_one_alone"]) == (0, 0, 0)
    assert set(tried.runners) == {"detector", "pose"} and tried.speed("pose") == {}
    assert isinstance(networks.source("pose", "pretrained").network, nn.Module)
