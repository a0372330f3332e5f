"""Networks on an accelerator: tensors in, tensors out, without a way through the host's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@runtime_checkable
class DeviceRunner(Protocol):
    """A `models.tasks.TensorRunner` whose network lives on `torch_device`.

    A task that gets one prepares its inputs there and reads its outputs there, and brings to the host only what is
    small. PyTorch is not needed to ask whether something is one.
    """

    torch_device: torch.device

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        """Arrays with B rows, through the device and back."""
        ...

    def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Tensors with B rows to float32 tensors with B rows on `torch_device`, in the order of the current stream.

        Inputs may lie anywhere; in the host's memory they are best pinned. Results are the caller's own.
        """
        ...
