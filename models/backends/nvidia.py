"""Whether this machine has an NVIDIA GPU that PyTorch can use; PyTorch is imported only where there is a driver."""

from __future__ import annotations

import ctypes
import logging
import sys
from dataclasses import dataclass

from models.backends.base import BackendUnavailableError, NotMeantError

log = logging.getLogger(__name__)

_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

_BLOCKING_SYNC = 4
"""CUDA's CU_CTX_SCHED_BLOCKING_SYNC."""


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


def share_context() -> None:
    """Make the primary CUDA context of the first GPU fit for FFmpeg, which shares it with PyTorch.

    FFmpeg wants a context whose threads sleep while they wait. Where one is active with other flags it would refuse it
    (ENOTSUP), and no picture could be used that it decodes there: so `gpu` does this before PyTorch makes the context.
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
        set_flags = driver.cuDevicePrimaryCtxSetFlags_v2
    except (OSError, AttributeError):  # no driver, or one that is older than CUDA 11
        return  # FFmpeg will say so
    device = ctypes.c_int()
    driver.cuInit(0)
    driver.cuDeviceGet(ctypes.byref(device), 0)
    result = set_flags(device, _BLOCKING_SYNC)
    if result:
        log.debug("the flags of the CUDA context cannot be set (CUresult %d)", result)


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
    share_context()
    try:
        index = torch.cuda.current_device()
        return GPU(torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index), index)
    except (RuntimeError, AssertionError) as error:  # no GPU, a driver too old for this CUDA, no permission
        raise BackendUnavailableError(f"PyTorch cannot use the GPU: {str(error).splitlines()[0]}") from error
