"""What is put around a network hides that it lives on a device, or takes the time of something else."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from models.backends.device_runner import DeviceRunner
from stream.measuring.bench import Sampler
from stream.runners import Stopwatch, around, own_stream


class OnHost:
    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(2 * array for array in inputs)


class OnDevice(OnHost):
    """Takes a moment."""

    torch_device = torch.device("cpu")

    def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        time.sleep(0.02)
        return tuple(2 * tensor for tensor in inputs)


ARRAY = np.ones((3, 2), np.float32)


def test_a_network_on_a_device_is_taken_for_one_on_the_host() -> None:
    for wrapped in (around(OnDevice(), lambda run, inputs: run(*inputs)), Sampler().wrap("detector", OnDevice())):
        assert isinstance(wrapped, DeviceRunner) and wrapped.torch_device == torch.device("cpu")
        assert torch.equal(wrapped.tensors(torch.ones(3))[0], 2 * torch.ones(3))
        assert (wrapped(ARRAY)[0] == 2).all()


def test_a_network_on_the_host_is_taken_for_one_on_a_device() -> None:
    wrapped = around(OnHost(), lambda run, inputs: run(*inputs))
    assert not isinstance(wrapped, DeviceRunner) and (wrapped(ARRAY)[0] == 2).all()


def test_the_time_of_tensors_is_not_taken() -> None:
    taken: list[float] = []
    wrapped = around(OnDevice(), Stopwatch(taken.append))
    assert isinstance(wrapped, DeviceRunner)
    wrapped.tensors(torch.ones(3))
    wrapped(ARRAY)
    assert len(taken) == 2 and taken[0] >= 0.02 > taken[1]


def test_a_sample_changes_with_the_batch_that_it_was_taken_of() -> None:
    """Whoever makes batches may use their memory again."""
    sampler, seen = Sampler(), []

    class Looking(OnDevice):
        def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            seen.append(float(inputs[0].sum()))
            return inputs

    batch = torch.ones(3)
    wrapped = sampler.wrap("detector", Looking())
    assert isinstance(wrapped, DeviceRunner)
    wrapped.tensors(batch)
    batch.zero_()
    assert set(sampler.alone_ms(1)) == {"detector"}
    assert set(seen) == {3.0}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_machine_without_a_gpu_has_no_thread_for_networks() -> None:
    with own_stream():
        pass


def test_a_run_without_torch_imports_it_for_its_streams() -> None:
    code = "import sys; from stream.runners import own_stream; own_stream(); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_networks_and_decoders_wait_for_each_other() -> None:
    torch.zeros(1, device="cuda")
    with own_stream():
        assert torch.cuda.current_stream() != torch.cuda.default_stream()
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_the_time_on_a_gpu_is_that_of_the_launch() -> None:
    class Busy(OnDevice):
        torch_device = torch.device("cuda")

        def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            product = inputs[0]
            for _ in range(50):
                product = product @ inputs[0]
            return (product,)

    taken: list[float] = []
    wrapped = around(Busy(), Stopwatch(taken.append))
    assert isinstance(wrapped, DeviceRunner)
    matrix = torch.randn(4096, 4096, device="cuda")
    for _ in range(2):
        wrapped.tensors(matrix)
        torch.cuda.synchronize()
    assert len(taken) >= 1 and taken[0] > 1e-3
