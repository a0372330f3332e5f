"""Any number of rows comes out as it would of one call, whatever programs there are and however little memory."""

from __future__ import annotations

import gc
import itertools
import logging
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from models.backends.base import BackendUnavailableError, Compiled
from models.backends.buckets import SIZES, Bucketed, OnDevice, Padded, Program
from models.backends.device_runner import DeviceRunner

CPU = torch.device("cpu")


def doubled_and_sum(given: Tensor) -> tuple[Tensor, ...]:
    return given * 2, given.sum(1)


class Programs:
    """Programs of fixed rows, as a CUDA graph is one; each call is told: rows of the program, rows given."""

    def __init__(self, no_memory_above: int = 1000, fails_while: str = "preparing") -> None:
        self.calls: list[tuple[int, int]] = []
        self.prepared: list[int] = []
        self._limit = no_memory_above
        self._fails_while = fails_while

    def __call__(self, rows: int) -> Program:
        self.prepared.append(rows)
        if rows > self._limit and self._fails_while == "preparing":
            raise torch.OutOfMemoryError(f"no memory for {rows}")
        place = torch.full((rows, 3), float("nan"))
        outputs = torch.full((rows, 3), float("nan")), torch.full((rows,), float("nan"))

        def replay() -> None:
            if rows > self._limit:
                raise torch.OutOfMemoryError(f"no memory for {rows}")
            for static, fresh in zip(outputs, doubled_and_sum(place), strict=True):
                static.copy_(fresh)

        padded = Padded((place,), outputs, replay, doubled_and_sum)

        def program(given: Tensor) -> tuple[Tensor, ...]:
            self.calls.append((rows, len(given)))
            return padded(given)

        return program


def some(rows: int) -> Tensor:
    return torch.arange(rows * 3, dtype=torch.float32).reshape(rows, 3)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 5, 8, 31, 32, 33, 64, 70])
def test_padding_or_splitting_changes_what_comes_out(rows: int) -> None:
    outputs = Bucketed(Programs())(some(rows))
    for output, expected in zip(outputs, doubled_and_sum(some(rows)), strict=True):
        assert torch.equal(output, expected)


@pytest.mark.parametrize(
    ("rows", "calls"),
    [(1, [(1, 1)]), (3, [(4, 3)]), (32, [(32, 32)]), (33, [(32, 32), (1, 1)]), (70, [(32, 32), (32, 32), (8, 6)])],
)
def test_a_batch_runs_on_a_larger_program_than_it_needs(rows: int, calls: list[tuple[int, int]]) -> None:
    programs = Programs()
    Bucketed(programs)(some(rows))
    assert programs.calls == calls


def test_a_run_waits_for_a_program_or_the_graphs_do_not_fit_into_the_memory_of_the_largest() -> None:
    programs = Programs()
    run = Bucketed(programs)
    assert programs.prepared == [32, 16, 8, 4, 2, 1]
    for rows in (3, 4, 3, 32, 64):
        run(some(rows))
    assert len(programs.prepared) == 6


@pytest.mark.parametrize("fails_while", ["preparing", "running"])
def test_a_batch_is_lost_where_memory_is_short(fails_while: str, caplog: pytest.LogCaptureFixture) -> None:
    programs = Programs(no_memory_above=8, fails_while=fails_while)
    with caplog.at_level(logging.WARNING):
        run = Bucketed(programs)
        (output, _) = run(some(40))
    assert torch.equal(output, some(40) * 2)
    assert run.largest == 8
    assert "no memory for a batch of 32: from now on batches have at most 16 rows" in caplog.text
    attempts = len(programs.prepared)
    run(some(40))
    assert len(programs.prepared) == attempts, "what found no memory is tried again at every batch"


def test_a_lack_of_memory_for_a_single_row_is_hidden() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Bucketed(Programs(no_memory_above=0, fails_while="running"))(some(5))


def test_a_larger_program_keeps_the_memory_that_a_smaller_one_lacks() -> None:
    programs = Programs()

    def prepare(rows: int) -> Program:
        if rows == 8:
            raise torch.OutOfMemoryError("no memory for 8")
        return programs(rows)

    run = Bucketed(prepare)
    run(some(40))
    assert run.largest == 4
    assert set(programs.calls) == {(4, 4)}


def failing(error: Exception) -> Callable[[int], Program]:
    def prepare(_rows: int) -> Program:
        raise error

    return prepare


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory"), RuntimeError("no such kernel\nand advice")])
def test_a_network_that_cannot_be_prepared_ends_the_run_and_no_other_backend_is_tried(error: Exception) -> None:
    reason = str(error).splitlines()[0]
    with pytest.raises(BackendUnavailableError, match=f"fails when it is prepared: {reason}$"):
        Bucketed(failing(error))


class Scratch:
    """Memory that a program takes while it runs."""


@pytest.mark.parametrize("fails_while", ["preparing", "running"])
def test_what_found_no_memory_still_holds_some_when_it_is_given_back(
    fails_while: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch gives back nothing that an error's traceback holds, nor programs that are still there."""
    taken: list[weakref.ref[object]] = []
    alive: list[int] = []

    def short(rows: int) -> None:
        scratch = Scratch()
        taken.append(weakref.ref(scratch))
        if rows > 16:
            raise torch.OutOfMemoryError(f"no memory for {rows}")

    def prepare(rows: int) -> Program:
        if fails_while == "preparing":
            short(rows)

        def program(given: Tensor) -> tuple[Tensor, ...]:
            short(rows)
            return (given * 2,)

        taken.append(weakref.ref(program))
        return program

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(sum(of() is not None for of in taken)))
    gc.disable()
    try:
        run = Bucketed(prepare)
        run(some(32))
    finally:
        gc.enable()
    programs = 0 if fails_while == "preparing" else 5
    assert alive == [programs]


def test_a_program_is_freed_while_the_gpu_still_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[weakref.ref[object]] = []

    def prepare(rows: int) -> Program:
        def program(given: Tensor) -> tuple[Tensor, ...]:
            if rows > 16:
                raise torch.OutOfMemoryError(f"no memory for {rows}")
            return (given * 2,)

        prepared.append(weakref.ref(program))
        return program

    waited: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: waited.append(prepared[0]() is not None))
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    Bucketed(prepare)(some(32))
    assert waited == [True]


def test_results_of_a_batch_are_overwritten_by_the_next() -> None:
    run = Bucketed(Programs())
    first, _ = run(some(4))
    before = first.clone()
    run(some(4) + 100)
    assert torch.equal(first, before)


def test_half_of_what_is_computed_or_more_is_padding() -> None:
    assert all(larger <= 2 * smaller for smaller, larger in itertools.pairwise(SIZES))


def test_a_device_runner_is_not_known_as_one_or_its_arrays_differ_from_its_tensors() -> None:
    runner: Compiled = OnDevice("cuda", "float16", "a GPU", CPU, Bucketed(Programs()))
    assert isinstance(runner, DeviceRunner)
    arrays = runner(some(5).numpy())
    tensors = runner.tensors(some(5))
    for array, tensor in zip(arrays, tensors, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, tensor.numpy())


def test_a_processor_runner_is_taken_for_a_device_runner() -> None:
    from models.backends import CompileSpec, Input
    from models.backends.torch_cpu import TorchBackend

    assert not isinstance(
        TorchBackend().compile(torch.nn.Linear(3, 3), CompileSpec((Input((3,)),), "float32", 1)), DeviceRunner
    )
