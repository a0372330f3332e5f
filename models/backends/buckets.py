"""Batches of any size on programs for a few sizes: padded up, split where too large, smaller where memory is short."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.backends.base import BackendUnavailableError, Precision

log = logging.getLogger(__name__)

T = TypeVar("T")

SIZES = (1, 2, 4, 8, 16, 32)
"""Rows of the programs: at most half of what is computed is padding."""

Program = Callable[..., tuple[Tensor, ...]]
"""Maps tensors of at most so many rows to tensors of as many rows."""


class Bucketed:
    """Runs every part of a batch on the smallest program that takes it.

    All programs are prepared at once, so that no batch of a run waits for one, and the largest first: CUDA graphs that
    share their memory then need no more of it than the largest. Where a program finds no memory, then or later, it and
    all larger ones are given up for good and batches go on in smaller parts; a warning tells of it.

    Args:
        prepare: makes the program for so many rows.
        sizes: of the programs, rising.

    Raises:
        BackendUnavailableError: the smallest cannot be prepared for lack of memory, or any for another reason.
    """

    def __init__(self, prepare: Callable[[int], Program], sizes: Sequence[int] = SIZES) -> None:
        self._sizes = tuple(sizes)
        self._programs: dict[int, Program] = {}
        try:
            for size in reversed(self._sizes):
                program = _attempt(partial(prepare, size), last=size == sizes[0])
                if program is None:
                    self._give_up(size)
                else:
                    self._programs[size] = program
        except RuntimeError as error:  # so PyTorch and NVIDIA's libraries tell of whatever a device does not do
            raise BackendUnavailableError(f"fails when it is prepared: {str(error).splitlines()[0]}") from error

    @property
    def largest(self) -> int:
        """Rows that can be computed together."""
        return self._sizes[-1]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Tensors with B rows, B >= 0, to tensors with B rows.

        Raises:
            torch.OutOfMemoryError: there is no memory even for the smallest program.
        """
        rows = len(inputs[0])
        if rows == 0:
            return tuple(of[:0] for of in self(*(of.new_zeros((1, *of.shape[1:])) for of in inputs)))
        parts: list[tuple[Tensor, ...]] = []
        done = 0
        while done < rows:
            stop = min(done + self.largest, rows)
            size = next(size for size in self._sizes if size >= stop - done)
            given = [of[done:stop] for of in inputs]
            part = _attempt(partial(self._programs[size], *given), last=size == self._sizes[0])
            if part is None:
                self._give_up(size)
            else:
                parts.append(part)
                done = stop
        return parts[0] if len(parts) == 1 else tuple(torch.cat(of) for of in zip(*parts, strict=True))

    def _give_up(self, size: int) -> None:
        """Forget the programs for `size` rows and more."""
        on_gpu = torch.cuda.is_available()
        if on_gpu:
            torch.cuda.synchronize()  # one of them may still be running
        self._sizes = tuple(smaller for smaller in self._sizes if smaller < size)
        self._programs = {rows: program for rows, program in self._programs.items() if rows < size}
        if on_gpu:
            torch.cuda.empty_cache()
        log.warning("no memory for a batch of %d: from now on batches have at most %d rows", size, self.largest)


def _attempt(run: Callable[[], T], *, last: bool) -> T | None:
    """What `run` gives; None where there is no memory for it, unless it is the `last` resort."""
    try:
        return run()
    except torch.OutOfMemoryError:
        if last:
            raise
        return None  # the error is gone with it, and with that the tensors that its traceback holds


class Padded:
    """A program that always computes all of its rows, in memory that stays the same: a CUDA graph.

    Args:
        inputs: what it reads; rows beyond those given hold whatever was there before, for rows never mix.
        outputs: what it writes.
        replay: computes `outputs` from `inputs`.
        captured: what `replay` repeats; kept, for it owns what that works with.
    """

    def __init__(
        self, inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...], replay: Callable[[], None], captured: Program
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._replay = replay
        self._captured = captured

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        """At most as many rows as it was made for."""
        rows = len(given[0])
        for place, of in zip(self._inputs, given, strict=True):
            place[:rows].copy_(of, non_blocking=True)
        self._replay()
        return tuple(of[:rows].clone() for of in self._outputs)


class OnDevice:
    """Serves `models.backends.Compiled` and `models.backends.device_runner.DeviceRunner`; one call at a time.

    Args:
        backend, precision: what it says of itself.
        device: name of the accelerator. torch_device: as PyTorch knows it.
        compute: maps tensors, wherever they lie, to float32 tensors on `torch_device`.
    """

    def __init__(
        self, backend: str, precision: Precision, device: str, torch_device: torch.device, compute: Program
    ) -> None:
        self.backend = backend
        self.precision = precision
        self.device = device
        self.torch_device = torch_device
        self._compute = compute

    @torch.inference_mode()
    def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See `DeviceRunner.tensors`."""
        return self._compute(*inputs)

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        """Run one batch; returns when it is on the host."""
        outputs = self.tensors(*(torch.from_numpy(np.ascontiguousarray(of)) for of in inputs))
        return tuple(of.cpu().numpy() for of in outputs)
