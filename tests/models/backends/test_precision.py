"""Among the precisions of a machine the fastest is taken that is exact enough, and whoever falls back says why."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from models.backends import (
    BackendUnavailableError,
    CompileSpec,
    Input,
    Precision,
    Source,
    compile_network,
)
from models.backends.base import NotMeantError, Recipe
from models.backends.torch_cpu import TorchBackend, TorchCompiled

INPUTS = (Input((4,)),)


def recipe(lowest: Precision) -> Recipe:
    torch.manual_seed(0)
    layer = nn.Linear(4, 3)
    return Recipe("small", {}, lambda: Source(layer, INPUTS), lowest)


class Backend:
    """Eager PyTorch under another name, with the precisions that it is told; one of them it cannot run."""

    name = "gpu"

    def __init__(self, *native: Precision, broken: Precision | None = None, absent: Exception | None = None) -> None:
        self._native = native
        self._broken = broken
        self._absent = absent

    def precisions(self) -> tuple[Precision, ...]:
        if self._absent:
            raise self._absent
        return self._native

    def compile(self, network: nn.Module, spec: CompileSpec) -> TorchCompiled:
        compiled = TorchBackend().compile(network, spec)
        return Broken(network, spec) if spec.precision == self._broken else compiled


class Broken(TorchCompiled):
    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nand advice")


GPU: tuple[Precision, ...] = ("float16", "bfloat16", "float32")


@pytest.mark.parametrize(
    ("native", "lowest", "chosen", "reason"),
    [
        (GPU, "bfloat16", "float16", "float16 keeps this network's accuracy"),
        (GPU, "float16", "float16", "float16 keeps this network's accuracy"),
        (GPU, "float32", "float32", "a lower precision costs this network accuracy"),
        (("bfloat16", "float32"), "float16", "float32", "no float16 instructions"),
        (("float16", "float32"), "bfloat16", "float16", "float16 keeps this network's accuracy"),
    ],
)
def test_a_network_loses_accuracy_or_speed(
    native: tuple[Precision, ...], lowest: Precision, chosen: Precision, reason: str
) -> None:
    choice = compile_network(recipe(lowest), threads=1, candidates=(Backend(*native),)).choice
    assert choice.precision == chosen
    assert reason in choice.reason


def test_a_precision_that_fails_when_it_is_run_ends_the_run() -> None:
    candidates = (Backend(*GPU, broken="float16"),)
    choice = compile_network(recipe("bfloat16"), threads=1, candidates=candidates).choice
    assert choice.precision == "bfloat16"
    assert choice.refused == (
        "gpu float16: fails when it is run: CUDA error: an illegal memory access was encountered",
    )
    assert "bfloat16 because float16 failed its parity check" in choice.reason


def test_a_processor_is_made_to_compute_in_float16() -> None:
    candidates = (Backend("float32"), TorchBackend())
    choice = compile_network(recipe("bfloat16"), threads=1, precision="bfloat16", candidates=candidates).choice
    assert choice.precision == "bfloat16", "bfloat16 can be had anywhere, if slowly"
    with pytest.raises(BackendUnavailableError, match="gpu: it does not compute in float16 here"):
        compile_network(recipe("bfloat16"), threads=1, precision="float16", candidates=candidates)


def test_a_network_that_a_backend_is_not_meant_for_is_tried_in_every_precision() -> None:
    class Picky(Backend):
        def compile(self, network: nn.Module, spec: CompileSpec) -> TorchCompiled:
            raise NotMeantError("no fixed size")

    choice = compile_network(recipe("bfloat16"), threads=1, candidates=(Picky(*GPU), TorchBackend())).choice
    assert choice.refused == ("gpu: no fixed size",)


@pytest.mark.parametrize(
    ("absent", "warned"), [(NotMeantError("no NVIDIA driver"), False), (BackendUnavailableError("not installed"), True)]
)
def test_everybody_is_warned_that_a_machine_has_no_gpu_or_nobody_that_something_is_missing(
    absent: Exception, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        choice = compile_network(
            recipe("float32"), threads=1, candidates=(Backend(absent=absent), TorchBackend())
        ).choice
    assert choice.refused == (f"gpu: {absent}",)
    assert [record.levelno for record in caplog.records if record.name.startswith("models")] == [
        logging.WARNING if warned else logging.DEBUG
    ]
