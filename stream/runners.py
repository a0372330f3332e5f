"""Something around a compiled network, such as a stopwatch, that leaves it what it is: on the host or on a device."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from models.backends.device_runner import DeviceRunner
from models.tasks import Float, TensorRunner

if TYPE_CHECKING:  # known where there is a network on a device
    import torch
    from torch import Tensor

Around: TypeAlias = Callable[[Callable[..., tuple[Any, ...]], tuple[Any, ...]], tuple[Any, ...]]
"""Is given what to run and its inputs, arrays or tensors, and returns the outputs."""


def around(runner: TensorRunner, call: Around) -> TensorRunner:
    """`runner` with `call` around every batch; a `DeviceRunner` where that is one."""
    if isinstance(runner, DeviceRunner):
        return _OnDevice(runner, call)

    def run(*inputs: npt.NDArray[Any]) -> tuple[Float, ...]:
        return call(runner, inputs)

    return run


def own_stream() -> AbstractContextManager[object]:
    """A CUDA stream for the networks that this thread runs, where there is a GPU with networks on it; else nothing.

    FFmpeg decodes on the default stream, and whoever waits for a picture there would wait for the networks as well.
    """
    torch = sys.modules.get("torch")  # who has not imported it has nothing on a GPU
    if torch is None or not torch.cuda.is_initialized():
        return nullcontext()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.default_stream())  # their weights were brought there by it
    own: AbstractContextManager[object] = torch.cuda.stream(stream)
    return own


class _OnDevice:
    def __init__(self, runner: DeviceRunner, call: Around) -> None:
        self.torch_device: torch.device = runner.torch_device
        self._runner = runner
        self._call = call

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[Float, ...]:
        return self._call(self._runner, inputs)

    def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._call(self._runner.tensors, inputs)


class Stopwatch:
    """Takes the time of a network; to be put around it.

    On a GPU that is the time between two events there, which are read when both are over: nobody waits for them, and
    the newest may be missing when a run ends.

    Args:
        observe: told the seconds of every batch.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._pending: deque[tuple[Any, Any]] = deque()

    def __call__(self, run: Callable[..., tuple[Any, ...]], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The outputs of `run`."""
        if any(getattr(array, "is_cuda", False) for array in inputs):
            return self._on_gpu(run, inputs)
        began = time.perf_counter()
        outputs = run(*inputs)
        self._observe(time.perf_counter() - began)
        return outputs

    def _on_gpu(self, run: Callable[..., tuple[Any, ...]], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        import torch

        began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        began.record()
        outputs = run(*inputs)
        ended.record()
        self._pending.append((began, ended))
        while self._pending and self._pending[0][1].query():
            first, last = self._pending.popleft()
            self._observe(first.elapsed_time(last) / 1e3)
        return outputs
