"""CUDA: PyTorch in half precision, channels-last, and as CUDA graphs, which cost one launch for all of a network.

`torch.compile` is left out: whether it wins over cuDNN's own kernels can only be measured on a GPU.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from models.backends.base import CompileSpec, Precision
from models.backends.nvidia import GPU, gpu

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from models.backends.buckets import OnDevice, Program

log = logging.getLogger(__name__)

_WARM_UPS = 3
"""Calls before a network is captured: libraries choose their kernels and take their memory in the first ones."""

_BFLOAT16_SINCE = (8, 0)
"""Capability of the first GPUs that multiply it; float16 they all do that PyTorch still knows."""


class CUDABackend:
    """Runs networks on the current GPU."""

    name = "cuda"

    def precisions(self) -> tuple[Precision, ...]:
        """See `precisions_of`."""
        return precisions_of(gpu())

    def compile(self, network: nn.Module, spec: CompileSpec) -> OnDevice:
        """A copy of `network` on the GPU, captured in CUDA graphs of all sizes."""
        import torch

        here = gpu()
        torch.backends.cudnn.allow_tf32 = False  # what is to be float32 is float32; it is PyTorch's only wide default
        return on_device(network, spec, torch.device("cuda", here.index), here.name)


def precisions_of(here: GPU) -> tuple[Precision, ...]:
    """What a GPU computes natively: float16 before bfloat16, for at the same speed it has three bits more."""
    return ("float16", "bfloat16", "float32") if here.capability >= _BFLOAT16_SINCE else ("float16", "float32")


def on_device(network: nn.Module, spec: CompileSpec, device: torch.device, name: str) -> OnDevice:
    """`network` on any device of PyTorch; as CUDA graphs where there are such and every shape is known."""
    import torch

    from models.backends.buckets import Bucketed, OnDevice
    from models.backends.half import Lowered

    lowered = Lowered(network, spec.precision).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def eager(*inputs: Tensor) -> tuple[Tensor, ...]:
        out: tuple[Tensor, ...] = lowered(*(of.to(device, non_blocking=True) for of in inputs))
        return out

    graphs = device.type == "cuda" and not any(of.free for of in spec.inputs)
    prepare: Callable[[int], Program] = Graphs(lambda: eager, spec, device) if graphs else lambda _rows: eager
    return OnDevice("cuda", spec.precision, name, device, Bucketed(prepare))


class Graphs:
    """Turns a program into CUDA graphs, each of a number of rows; where that fails, it runs as it is, with a warning.

    All graphs share their memory, so one runs at a time. The largest comes first: the smaller ones fit into its memory.

    Args:
        make: gives the program, one for each graph.
        spec: its inputs, none of which has free axes.
        device: a GPU.
    """

    def __init__(self, make: Callable[[], Program], spec: CompileSpec, device: torch.device) -> None:
        import torch

        self._make = make
        self._spec = spec
        self._device = device
        self._pool = torch.cuda.graph_pool_handle()
        self._failed = False

    def __call__(self, rows: int) -> Program:
        """The program for so many rows.

        Raises:
            torch.OutOfMemoryError: there is no memory for it.
        """
        import torch

        from models.backends.buckets import Padded

        program = self._make()
        if self._failed:  # PyTorch may take that capture to be still under way
            return program
        inputs = self._warmed_up(program, rows)
        gc.collect()  # a collection in the middle of a capture might free memory of the GPU, which is forbidden there
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.stream(torch.cuda.current_stream(self._device))  # a capture that fails leaves its own
        try:
            # Other threads decode and copy meanwhile: only what this one does belongs to the graph.
            with current, torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                outputs = program(*inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if isinstance(error.__context__, torch.OutOfMemoryError):  # of which the end of the capture made another
                raise torch.OutOfMemoryError(str(error.__context__)) from error  # a new one: no cycle keeps its tensors
            self._failed = True
            log.warning("batches of up to %d run without CUDA graphs: %s", rows, str(error).splitlines()[0])
            return program
        return Padded(inputs, outputs, graph.replay, program)

    def _warmed_up(self, program: Program, rows: int) -> tuple[Tensor, ...]:
        """The inputs of a graph, on which `program` has run a few times."""
        import torch

        inputs = tuple(
            torch.zeros((rows, *of.shape), dtype=getattr(torch, of.dtype), device=self._device)
            for of in self._spec.inputs
        )
        aside = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(aside), torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False):
            for _ in range(_WARM_UPS):
                program(*inputs)
        torch.cuda.current_stream(self._device).wait_stream(aside)
        return inputs
