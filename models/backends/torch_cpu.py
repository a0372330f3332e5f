"""PyTorch itself on the processor: always there, the reference for every other backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.backends.base import CompileSpec, Precision
from models.backends.half import Lowered


class TorchBackend:
    """Eager PyTorch in channels-last layout (batch-norm is folded by the networks themselves)."""

    name = "torch"

    def precisions(self) -> tuple[Precision, ...]:
        """Float32 always; bfloat16 first where the processor multiplies it in hardware."""
        if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
            return ("bfloat16", "float32")
        return ("float32",)

    def compile(self, network: nn.Module, spec: CompileSpec) -> TorchCompiled:
        """A copy of `network` in this precision; `network` itself stays as it is."""
        return TorchCompiled(network, spec)


class TorchCompiled:
    """A network in eager PyTorch."""

    backend = "torch"
    device = "cpu"

    def __init__(self, network: nn.Module, spec: CompileSpec) -> None:
        self.precision: Precision = spec.precision
        self._threads = spec.threads
        self._network = Lowered(network, spec.precision).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        """Run one batch."""
        if torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        outputs = self._network(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs))
        return tuple(output.numpy() for output in outputs)
