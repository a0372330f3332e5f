"""Whether this machine has an NVIDIA GPU that PyTorch can use; PyTorch is imported only where there is a driver."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

from models.backends.base import BackendUnavailableError, NotMeantError

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


@dataclass(frozen=True, slots=True)
class GPU:
    """The GPU that this process computes on.

    Attributes:
        name: as its maker gives it.
        capability: major and minor; (8, 0) and above multiply bfloat16.
        index: among those that the process sees.
    """

    name: str
    capability: tuple[int, int]
    index: int


def has_driver() -> bool:
    """Whether NVIDIA's driver is there; takes microseconds."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


def gpu() -> GPU:
    """The current GPU.

    Raises:
        NotMeantError: there is no driver.
        BackendUnavailableError: PyTorch cannot use the GPU; the message says why.
    """
    if not has_driver():
        raise NotMeantError("this machine has no NVIDIA driver")
    import torch

    if torch.version.cuda is None:
        raise BackendUnavailableError(f"PyTorch {torch.__version__} was built without CUDA; install one with it")
    try:
        index = torch.cuda.current_device()
        return GPU(torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index), index)
    except (RuntimeError, AssertionError) as error:  # no GPU, a driver too old for this CUDA, no permission
        raise BackendUnavailableError(f"PyTorch cannot use the GPU: {str(error).splitlines()[0]}") from error
