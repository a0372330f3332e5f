"""What the hardware could do at best: copies to the GPU and multiplications on it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.gpu.outcome import Figures, Setting

ROUNDS = 5
"""How often something is measured; the median counts."""


def copies_and_products(_: Setting) -> Figures:
    """Bandwidth of copies from pinned memory, and the rate of float16 and float32 products."""
    device = torch.device("cuda")
    return {
        "copy_gb_s": copy_gb_s(device, 256 << 20),
        "matmul_float16_tflop_s": matmul_tflop_s(device, torch.float16, 8192),
        "matmul_float32_tflop_s": matmul_tflop_s(device, torch.float32, 4096),
    }


def copy_gb_s(device: torch.device, size: int) -> float:
    """Gigabytes a second from the host's pinned memory to the device, in copies of `size` bytes."""
    host = torch.empty(size, dtype=torch.uint8, pin_memory=device.type == "cuda")
    there = torch.empty(size, dtype=torch.uint8, device=device)
    return round(size / seconds(lambda: there.copy_(host, non_blocking=True), device) / 1e9, 2)


def matmul_tflop_s(device: torch.device, dtype: torch.dtype, side: int) -> float:
    """Teraflops a second of a product of two square matrices, exact to `dtype` (no TensorFloat-32)."""
    torch.backends.cuda.matmul.allow_tf32 = False
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    return round(2 * side**3 / seconds(lambda: left @ right, device) / 1e12, 3)


def seconds(run: Callable[[], object], device: torch.device, calls: int = 5) -> float:
    """Median seconds of one of `calls` calls in a row, with their work on the device."""
    run()
    settle(device)
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(calls):
            run()
        settle(device)
        taken.append((time.perf_counter() - began) / calls)
    return sorted(taken)[ROUNDS // 2]


def settle(device: torch.device) -> None:
    """Wait until everything is done that `device` was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
