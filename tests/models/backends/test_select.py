"""Backends are chosen aloud, and one that does not say what eager float32 says never serves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from models.backends import (
    BackendName,
    BackendUnavailableError,
    CompileSpec,
    Input,
    Precision,
    Source,
    compile_network,
)
from models.backends.base import Recipe
from models.backends.cache import EngineCache
from models.backends.openvino import OpenVINOBackend
from models.backends.pixels import FromPixels
from models.backends.torch_cpu import TorchBackend
from models.tasks import PixelFormat

INPUTS = (Input.pixels(64, 96),)
SPEC = CompileSpec(INPUTS, "bfloat16", threads=1, batch=2)
PIXELS = PixelFormat(rgb=True, mean=(123.0, 116.0, 103.0), std=(58.0, 57.0, 56.0))


def network() -> FromPixels:
    torch.manual_seed(0)
    return FromPixels(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 4, 3)), PIXELS)


def recipe(lowest: Precision = "bfloat16", weights: int = 0) -> Recipe:
    return Recipe("small", {"weights": weights}, lambda: Source(network(), INPUTS), lowest)


class Scaled:
    """A backend whose outputs are those of eager PyTorch times a factor, in the precisions it claims."""

    def __init__(
        self, name: str, factor: float, *, precisions: tuple[Precision, ...] = ("bfloat16", "float32")
    ) -> None:
        self.name = name
        self._factor = factor
        self._precisions = precisions

    def precisions(self) -> tuple[Precision, ...]:
        return self._precisions

    def compile(self, network: nn.Module, spec: CompileSpec) -> ScaledCompiled:
        return ScaledCompiled(self.name, self._factor, network, spec)


class ScaledCompiled:
    device = "nowhere"

    def __init__(self, name: str, factor: float, network: nn.Module, spec: CompileSpec) -> None:
        self.backend = name
        self.precision = spec.precision
        self._factor = factor
        self._run = TorchBackend().compile(network, spec)

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(output * np.float32(self._factor) for output in self._run(*inputs))


class Missing:
    name = "missing"

    def precisions(self) -> tuple[Precision, ...]:
        raise BackendUnavailableError("not installed")

    def compile(self, network: nn.Module, spec: CompileSpec) -> ScaledCompiled:
        raise AssertionError("it said that it cannot run")


def test_a_backend_with_wrong_outputs_serves(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        served = compile_network(recipe(), threads=1, candidates=(Scaled("wrong", 1.5), Scaled("right", 1)))
    choice = served.choice
    assert served.run.backend == choice.backend == "right"
    assert any("wrong bfloat16" in line and "0.5" in line for line in choice.refused)
    assert "wrong bfloat16" in caplog.text


def test_nan_outputs_pass_the_parity_check() -> None:
    with pytest.raises(BackendUnavailableError, match="differ by inf"):
        compile_network(recipe(), threads=1, candidates=(Scaled("nan", float("nan")),))


def test_a_missing_backend_is_passed_over_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choice = compile_network(recipe(), threads=1, candidates=(Missing(), Scaled("right", 1))).choice
    assert choice.refused == ("missing: not installed",)
    assert "missing: not installed" in caplog.text


def test_another_backend_serves_than_the_one_asked_for() -> None:
    with pytest.raises(BackendUnavailableError, match="asked for backend openvino"):
        compile_network(recipe(), threads=1, backend="openvino", candidates=(Scaled("right", 1),))


def test_auto_goes_below_the_precision_that_keeps_the_accuracy() -> None:
    choice = compile_network(recipe("float32"), threads=1, candidates=(Scaled("right", 1),)).choice
    assert choice.precision == "float32"
    assert "costs this network accuracy" in choice.reason


@pytest.mark.parametrize(
    ("native", "asked", "precision", "reason"),
    [
        (("bfloat16", "float32"), "auto", "bfloat16", "keeps this network's accuracy"),
        (("float32",), "auto", "float32", "no bfloat16 instructions"),
        (("float32",), "bfloat16", "bfloat16", "no instructions for it"),
        (("bfloat16", "float32"), "float32", "float32", "asked for float32"),
    ],
)
def test_the_reason_does_not_tell_why_a_precision_was_taken(
    native: tuple[Precision, ...], asked: str, precision: str, reason: str
) -> None:
    candidates = (Scaled("right", 1, precisions=native),)
    choice = compile_network(recipe(), threads=1, precision=asked, candidates=candidates).choice  # type: ignore[arg-type]
    assert choice.precision == precision
    assert reason in choice.reason


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_openvino_says_something_else_than_pytorch(precision: Precision) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    served = compile_network(
        recipe(), threads=1, backend="openvino", precision=precision, candidates=(OpenVINOBackend(),)
    )
    assert served.choice.error < (1e-4 if precision == "float32" else 2e-2)
    assert served.run.precision == precision


@pytest.mark.parametrize("backend", ["torch", "openvino"])
def test_a_batch_of_another_size_or_its_outputs_overwrite_each_other(backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    compiled = compile_network(recipe(), threads=1, backend=backend, precision="float32").run  # type: ignore[arg-type]
    pixels = np.random.default_rng(0).integers(0, 256, (5, 64, 96, 3), np.uint8)
    (whole,) = compiled(pixels)
    single = [compiled(pixels[i : i + 1])[0] for i in range(5)]
    assert np.allclose(whole, np.concatenate(single), atol=1e-5)


def test_a_kept_network_is_made_again_or_says_something_else(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    first = compile_network(recipe(), threads=1, backend="openvino", cache=EngineCache(tmp_path))

    def never() -> Source:
        raise AssertionError("its compiled form is kept")

    kept = Recipe("small", {"weights": 0}, never, "bfloat16")
    again = compile_network(kept, threads=1, backend="openvino", cache=EngineCache(tmp_path))
    assert again.inputs == INPUTS and again.choice == first.choice
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    assert np.array_equal(again.run(pixels)[0], first.run(pixels)[0])


def test_other_weights_or_another_precision_get_the_kept_network(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    made = []

    def make() -> Source:
        made.append(1)
        return Source(network(), INPUTS)

    for weights, precision in ((0, "float32"), (1, "float32"), (1, "bfloat16"), (1, "bfloat16")):
        compile_network(
            Recipe("small", {"weights": weights}, make),
            threads=1,
            backend="openvino",
            precision=precision,  # type: ignore[arg-type]
            cache=EngineCache(tmp_path),
        )
    assert len(made) == 3


def test_a_kept_network_that_failed_the_gate_serves_at_the_next_start(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")

    class Noisy(OpenVINOBackend):
        def load(self, folder: Path, spec: CompileSpec) -> ScaledCompiled:  # type: ignore[override]
            del folder
            return ScaledCompiled("openvino", 1.5, network(), spec)

    for _ in range(2):
        served = compile_network(
            recipe(), threads=1, candidates=(Noisy(), Scaled("right", 1)), cache=EngineCache(tmp_path)
        )
        assert served.run.backend == "right"
        assert any("openvino bfloat16: outputs differ by 0.5" in line for line in served.choice.refused)


def test_the_network_handed_in_is_changed_by_compiling_it() -> None:
    original = network()
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    TorchBackend().compile(original, SPEC)
    for name, tensor in original.state_dict().items():
        assert tensor.dtype == before[name].dtype and torch.equal(tensor, before[name])


def test_normalisation_happens_in_half_precision_or_in_bgr() -> None:
    passthrough = nn.Conv2d(3, 3, 1, bias=False)
    passthrough.weight.data = torch.eye(3).view(3, 3, 1, 1)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3), np.uint8)
    compiled = TorchBackend().compile(FromPixels(passthrough, PIXELS), CompileSpec((Input.pixels(4, 4),), "float32", 1))
    (out,) = compiled(pixels)
    expected = (pixels[..., ::-1].astype(np.float64) - PIXELS.mean) / PIXELS.std
    assert np.abs(out - expected.transpose(0, 3, 1, 2)).max() < 1e-5


class Attend(nn.Module):
    """Two inputs, the second of any length: a stand-in for a decoder that is prompted."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = nn.Linear(8, 8)

    def forward(self, query: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(self.project(query).unsqueeze(1) @ features.transpose(1, 2), dim=-1)
        return (weights @ features).squeeze(1)


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_a_network_of_several_inputs_or_of_a_free_length_cannot_be_compiled(backend: BackendName) -> None:
    inputs = Input((8,)), Input((5, 8), free=(0,))
    attend = Recipe("attend", {}, lambda: Source(Attend(), inputs))
    served = compile_network(attend, threads=1, backend=backend)
    compiled = served.run
    assert served.choice.error < 1e-4
    random = np.random.default_rng(1)
    for rows, length in ((1, 5), (3, 9)):
        query, features = (random.standard_normal(shape, np.float32) for shape in ((rows, 8), (rows, length, 8)))
        with torch.inference_mode():
            expected = Attend()(torch.from_numpy(query), torch.from_numpy(features))
        (output,) = compiled(query, features)
        np.testing.assert_allclose(output, expected.numpy(), atol=1e-4)


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 9, 31])
def test_rows_of_a_large_batch_get_lost_or_change_places(rows: int) -> None:
    pytest.importorskip("openvino", reason="the extra `cpu` is not installed")
    spec = CompileSpec(INPUTS, "float32", threads=3, batch=8)
    pixels = np.random.default_rng(0).integers(0, 256, (rows, 64, 96, 3), np.uint8)
    (in_parts,) = OpenVINOBackend().compile(network(), spec)(pixels)
    (expected,) = TorchBackend().compile(network(), spec)(pixels)
    np.testing.assert_allclose(in_parts, expected, atol=1e-4)


def test_a_batch_of_large_pictures_takes_the_memory_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("models.backends.openvino", reason="the extra `cpu` is not installed")
    monkeypatch.setattr(openvino, "_PIXELS", 2 * 64 * 96)
    compiled = OpenVINOBackend().compile(network(), CompileSpec(INPUTS, "float32", threads=1))
    asked: list[int] = []
    infer = compiled._infer
    monkeypatch.setattr(compiled, "_infer", lambda rows: asked.append(len(rows[0])) or infer(rows))
    compiled(np.zeros((5, 64, 96, 3), np.uint8))
    assert asked == [2, 2, 1]
    monkeypatch.setattr(openvino, "_PIXELS", 1)
    compiled(np.zeros((2, 64, 96, 3), np.uint8))
    assert asked[3:] == [1, 1], "a single picture is too large"
