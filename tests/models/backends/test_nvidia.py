"""A machine without an NVIDIA GPU says so in one sentence, quickly, and whatever is missing."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from models.backends import BackendUnavailableError, backends, nvidia
from models.backends.base import NotMeantError
from models.backends.cuda import precisions_of
from models.backends.nvidia import GPU, gpu

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU: nothing is missing")


@pytest.mark.skipif(nvidia.has_driver(), reason="this machine has NVIDIA's driver")
def test_without_a_driver_somebody_is_warned_of_it() -> None:
    with pytest.raises(NotMeantError, match=r"^this machine has no NVIDIA driver$"):
        gpu()


@pytest.mark.skipif(torch.version.cuda is not None, reason="this PyTorch has CUDA")
def test_a_pytorch_without_cuda_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "has_driver", lambda: True)
    with pytest.raises(BackendUnavailableError, match="was built without CUDA"):
        gpu()


@no_gpu
def test_a_gpu_that_pytorch_cannot_use_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia, "has_driver", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", torch.version.cuda or "13.0")
    with pytest.raises(BackendUnavailableError, match="PyTorch cannot use the GPU: ") as refused:
        gpu()
    assert "\n" not in str(refused.value)


def test_pytorch_makes_a_context_that_ffmpeg_refuses_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg wants CU_CTX_SCHED_BLOCKING_SYNC (4), which can be counted on only before PyTorch makes it."""
    called: list[object] = []

    class Driver:
        def cuInit(self, flags: int) -> int:  # noqa: N802
            return 0

        def cuDeviceGet(self, device: object, number: int) -> int:  # noqa: N802
            return 0

        def cuDevicePrimaryCtxSetFlags_v2(self, device: object, flags: int) -> int:  # noqa: N802
            called.append(flags)
            return 0

    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: called.append("context") or 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert gpu() == GPU("H200", (9, 0), 0)
    assert called == [4, "context"]


@pytest.mark.skipif(nvidia.has_driver(), reason="this machine has NVIDIA's driver")
def test_a_start_without_a_driver_waits_for_pytorch_or_torch_tensorrt() -> None:
    code = (
        "import sys\n"
        "from models.backends import BackendUnavailableError, backends\n"
        "refused = []\n"
        "for backend in backends():\n"
        "    if backend.name in ('tensorrt', 'tensorrt-rtx', 'cuda'):\n"
        "        try:\n"
        "            backend.precisions()\n"
        "        except BackendUnavailableError as error:\n"
        "            refused.append(str(error))\n"
        "    else:\n"
        "        break\n"
        "assert len(refused) == 3, refused\n"
        "assert not {'torch', 'torch_tensorrt', 'tensorrt'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_auto_tries_a_slower_backend_before_a_faster_one() -> None:
    assert [backend.name for backend in backends()] == ["tensorrt", "tensorrt-rtx", "cuda", "openvino", "torch"]


def test_an_old_gpu_is_asked_for_bfloat16() -> None:
    assert precisions_of(GPU("H200", (9, 0), 0)) == ("float16", "bfloat16", "float32")
    assert precisions_of(GPU("T4", (7, 5), 0)) == ("float16", "float32")
