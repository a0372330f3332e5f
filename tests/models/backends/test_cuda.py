"""What runs on a GPU says what eager float32 says; here on the processor, where the same code runs without graphs."""

from __future__ import annotations

import copy
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from models.backends import CompileSpec, Input, Precision, Source
from models.backends.buckets import SIZES, Bucketed, OnDevice
from models.backends.cuda import CUDABackend, Graphs, on_device
from models.backends.device_runner import DeviceRunner
from models.backends.half import Lowered
from models.backends.parity import TOLERANCE, compared, probe
from models.backends.pixels import FromPixels
from models.backends.torch_cpu import TorchBackend
from models.detect.yolox_task import yolox_detector
from models.pose.rtmpose_task import rtmpose_estimator
from models.segment.blazepose_task import blazepose_segmenter
from models.segment.mobilesam_task import mobilesam_segmenter
from models.serving import DetectorOptions, PoseOptions, Ready, Weights
from models.tasks import PixelFormat
from tests.models.compiling import weights_of

PIXELS = PixelFormat(rgb=True, mean=(123.0, 116.0, 103.0), std=(58.0, 57.0, 56.0))
INPUT = Input.pixels(64, 96)


def network() -> FromPixels:
    torch.manual_seed(0)
    return FromPixels(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 4, 3)), PIXELS)


def compiled(precision: Precision, device: str = "cpu") -> OnDevice:
    return on_device(network(), CompileSpec((INPUT,), precision, 1), torch.device(device), "somewhere")


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_a_precision_says_something_else_than_float32(precision: Precision) -> None:
    reference = TorchBackend().compile(network(), CompileSpec((INPUT,), "float32", 1))
    error = compared(compiled(precision), reference, probe((INPUT,))).error
    assert error <= TOLERANCE[precision]
    assert (error > 1e-5) == (precision != "float32"), "nothing was rounded"


def test_a_batch_that_is_split_says_something_else_than_its_rows() -> None:
    run = compiled("float32")
    pixels = np.random.default_rng(0).integers(0, 256, (35, 64, 96, 3), np.uint8)
    (whole,) = run(pixels)
    single = [run(pixels[row : row + 1])[0] for row in range(35)]
    np.testing.assert_allclose(whole, np.concatenate(single), atol=1e-5)


def test_tensors_leave_the_device_or_are_not_float32() -> None:
    run = compiled("float16")
    assert isinstance(run, DeviceRunner)
    (out,) = run.tensors(torch.zeros(2, 64, 96, 3, dtype=torch.uint8))
    assert out.device == run.torch_device and out.dtype == torch.float32 and len(out) == 2


class Making:
    """A `models.serving.Compile` that makes the networks and compiles nothing."""

    def __init__(self) -> None:
        self.sources: list[Source] = []

    def __call__(self, make: Callable[[], Source], **_: object) -> Ready:
        self.sources.append(make())
        return Ready(lambda *_: (), self.sources[-1].inputs)


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("yolox-nano", lambda weights, making: yolox_detector(weights, making, DetectorOptions((64, 64)))),
        ("rtmpose-t-coco", lambda weights, making: rtmpose_estimator(weights, making, PoseOptions())),
        ("blazepose-full", blazepose_segmenter),
        ("mobilesam", mobilesam_segmenter),
    ],
)
def test_a_network_brings_numbers_from_the_host_while_it_runs(
    name: str, build: Callable[[Weights, Making], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU it would wait for them, and could not be a CUDA graph; on the meta device it cannot use them at all."""
    making = Making()
    build(weights_of(name), making)
    for source in making.sources:
        lowered = Lowered(source.network, "float16").to("meta")
        given = [torch.zeros(2, *of.shape, dtype=getattr(torch, of.dtype), device="meta") for of in source.inputs]
        with monkeypatch.context() as patched, torch.inference_mode():
            for maker in ("tensor", "as_tensor", "from_numpy"):
                patched.setattr(torch, maker, lambda *_: pytest.fail("a tensor was made of numbers on the host"))
            assert all(of.device.type == "meta" for of in lowered(*given))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU that PyTorch can use")
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_cuda_graph_says_something_else_than_the_processor(precision: Precision) -> None:
    spec = CompileSpec((INPUT,), precision, 1)
    reference = TorchBackend().compile(network(), CompileSpec((INPUT,), "float32", 1))
    run = CUDABackend().compile(network(), spec)
    for rows in (1, 3, 40):
        assert compared(run, reference, probe((INPUT,), rows)).error <= TOLERANCE[precision]


class Stream:
    """A CUDA stream."""

    def wait_stream(self, _: Stream) -> None: ...


class Capturing:
    """Stands for `torch.cuda` while graphs are captured; every capture ends with `error`, if there is one.

    As PyTorch's, a capture that ends with an error leaves its own stream the current one.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.error = error
        self.captures = 0
        self.pools = 0
        self.replays = 0
        self.under_way = False
        self.current = self.own = Stream()
        for name, value in {
            "graph_pool_handle": self.pool,
            "Stream": lambda _: Stream(),
            "current_stream": lambda _: self.current,
            "stream": self.stream,
            "CUDAGraph": lambda: self,
            "graph": self.graph,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def pool(self) -> tuple[int, int]:
        self.pools += 1
        return 0, self.pools

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def graph(self, graph: object, *, pool: object, capture_error_mode: str) -> Iterator[None]:
        assert graph is self and pool == (0, 1) and capture_error_mode == "thread_local"
        before, self.current = self.current, Stream()
        self.captures += 1
        self.under_way = True
        try:
            yield
        finally:
            self.under_way = False
            if self.error is not None:
                raise copy.copy(self.error)
            self.current = before

    def replay(self) -> None:
        self.replays += 1


SMALL = CompileSpec((Input((3,)),), "float32", 1)
CPU = torch.device("cpu")


def double(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (given * 2,)


def test_what_is_captured_was_never_run_before_or_is_run_instead_of_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = Capturing(monkeypatch)
    shapes: list[tuple[int, ...]] = []

    def program(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shapes.append(tuple(given.shape))
        return double(given)

    captured = Graphs(lambda: program, SMALL, CPU)(4)
    assert shapes == [(4, 3)] * 4, "three times to warm up, once to be captured"
    (out,) = captured(torch.ones(2, 3))
    assert capturing.replays == 1 and len(shapes) == 4 and len(out) == 2


def test_a_graph_is_captured_in_the_middle_of_a_run_or_shares_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = Capturing(monkeypatch)
    run = Bucketed(Graphs(lambda: double, SMALL, CPU))
    assert capturing.captures == len(SIZES) and capturing.pools == 1
    run(torch.ones(40, 3))
    assert capturing.captures == len(SIZES) and capturing.replays == 2


class Owning:
    """A program with memory of its own, as a TensorRT context has it, which is gone when nobody holds the program."""

    def __call__(self, given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return double(given)


def test_a_graph_is_replayed_in_memory_that_is_gone_or_keeps_it_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Owning]] = []
    capturing = Capturing(monkeypatch)

    def replay() -> None:
        assert made[0]() is not None, "the memory in which the graph works is gone"

    def make() -> Owning:
        program = Owning()
        made.append(weakref.ref(program))
        return program

    monkeypatch.setattr(capturing, "replay", replay)
    captured = Graphs(make, SMALL, CPU)(4)
    gc.collect()
    captured(torch.ones(2, 3))
    del captured
    gc.collect()
    assert made[0]() is None


def test_what_cannot_be_captured_ends_the_run_or_is_slow_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    Capturing(monkeypatch, RuntimeError("operation not permitted when stream is capturing\nand advice"))
    with caplog.at_level(logging.WARNING):
        program = Graphs(lambda: double, SMALL, CPU)(4)
    reason = "operation not permitted when stream is capturing"
    assert [of.getMessage() for of in caplog.records] == [f"batches of up to 4 run without CUDA graphs: {reason}"]
    (out,) = program(torch.ones(2, 3))
    assert torch.equal(out, torch.full((2, 3), 2.0))


def test_after_a_capture_that_failed_its_stream_stays_or_another_capture_begins(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    capturing = Capturing(monkeypatch, RuntimeError("operation not permitted when stream is capturing"))
    run = Bucketed(Graphs(lambda: double, SMALL, CPU))
    assert capturing.current is capturing.own
    assert capturing.captures == len(caplog.records) == 1
    (out,) = run(torch.ones(40, 3))
    assert torch.equal(out, torch.full((40, 3), 2.0))


def test_a_lack_of_memory_in_a_capture_is_taken_for_something_that_cannot_be_captured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Capturing(monkeypatch, torch.OutOfMemoryError("no memory"))
    with pytest.raises(torch.OutOfMemoryError):
        Graphs(lambda: double, SMALL, CPU)(4)


def test_a_lack_of_memory_that_ends_the_capture_hides_behind_its_end_or_holds_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where what is captured raises an error, the end of the capture raises another."""
    capturing = Capturing(monkeypatch)
    taken: list[weakref.ref[Owning]] = []
    given_back: list[bool] = []

    def program(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        short = capturing.under_way and len(given) > 16
        capturing.error = RuntimeError("operation failed due to a previous error during capture") if short else None
        if short:
            memory = Owning()
            taken.append(weakref.ref(memory))
            raise torch.OutOfMemoryError("no memory")
        return double(given)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: given_back.append(taken[0]() is None))
    run = Bucketed(Graphs(lambda: program, SMALL, CPU))
    assert run.largest == 16 and capturing.captures == len(SIZES)
    assert given_back == [True]
    assert "without CUDA graphs" not in caplog.text


def test_garbage_of_the_gpu_is_collected_in_the_middle_of_a_capture(monkeypatch: pytest.MonkeyPatch) -> None:
    capturing = Capturing(monkeypatch)
    garbage: list[weakref.ref[Owning]] = []

    def program(given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if capturing.under_way:
            assert all(of() is None for of in garbage)
        else:
            held = Owning()
            held.itself = held  # type: ignore[attr-defined]
            garbage.append(weakref.ref(held))
        return double(given)

    gc.disable()
    try:
        Graphs(lambda: program, SMALL, CPU)(4)
    finally:
        gc.enable()
    assert len(garbage) == 3
