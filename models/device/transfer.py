"""To the device and back: pinned memory on the way, and one wait for everything that comes back."""

from __future__ import annotations

from itertools import accumulate
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array: TypeAlias = npt.NDArray[Any]


def upload(array: Array, device: torch.device) -> Tensor:
    """A copy of `array` on `device`; on CUDA it is on its way there, in the order of the current stream.

    Nobody waits for it: the copy is made from pinned memory, which PyTorch does not use again before it has been read.
    """
    staging = torch.empty(
        array.shape, dtype=_torch_type(array), pin_memory=device.type == "cuda"
    )  # pageable memory would make the copy wait for the device
    staging.numpy()[...] = array
    return staging.to(device, non_blocking=True)


def download(*tensors: Tensor) -> tuple[Array, ...]:
    """Arrays of what `tensors`, all on one device, hold.

    They leave the device as one block of bytes. This is the one place in `models.device` that waits for the device.
    """
    packed = torch.cat([tensor.contiguous().view(-1).view(torch.uint8) for tensor in tensors])
    if packed.is_cuda:
        pinned = torch.empty(packed.shape, dtype=packed.dtype, pin_memory=True)
        pinned.copy_(packed, non_blocking=True)
        torch.cuda.current_stream(packed.device).synchronize()
        packed = pinned
    block = packed.numpy()
    ends = list(accumulate(tensor.numel() * tensor.element_size() for tensor in tensors))
    return tuple(
        # A copy, so that the block is free again however long a result is kept.
        block[first:end].view(_numpy_type(tensor)).reshape(tensor.shape).copy()
        for tensor, first, end in zip(tensors, [0, *ends], ends, strict=False)
    )


def _torch_type(array: Array) -> torch.dtype:
    return torch.from_numpy(np.empty(0, array.dtype)).dtype


def _numpy_type(tensor: Tensor) -> np.dtype[Any]:
    return torch.empty(0, dtype=tensor.dtype).numpy().dtype
