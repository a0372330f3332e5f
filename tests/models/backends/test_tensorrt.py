"""TensorRT is refused with a reason wherever it is not to be had, and an engine's memory is where it says."""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.backends import BackendUnavailableError, CompileSpec, Input, Precision, tensorrt
from models.backends.base import KeepingBackend, NotMeantError
from models.backends.buckets import SIZES, Bucketed
from models.backends.nvidia import GPU
from models.backends.pixels import FromPixels
from models.backends.tensorrt import Execution, TensorRTBackend, build_engine, exported
from models.tasks import PixelFormat

CPU = torch.device("cpu")
PIXELS = PixelFormat(rgb=True, mean=(123.0, 116.0, 103.0), std=(58.0, 57.0, 56.0))
SPEC = CompileSpec((Input.pixels(64, 96),), "float16", 1)


def network() -> FromPixels:
    torch.manual_seed(0)
    return FromPixels(nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 4, 3)), PIXELS)


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "gpu", lambda: GPU("NVIDIA H200", (9, 0), 0))


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make it look as if of these distributions, and of no other, there were version 2.13.0."""

    def version(name: str) -> str:
        if name not in names:
            raise PackageNotFoundError(name)
        return "2.13.0"

    monkeypatch.setattr(tensorrt, "version", version)


@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize(
    ("installed", "name", "kind", "reason"),
    [
        ((), "tensorrt", BackendUnavailableError, r"not installed \(pip install 'peoplestream\[tensorrt\]'\)"),
        ((), "tensorrt-rtx", BackendUnavailableError, r"pip install 'peoplestream\[tensorrt-rtx\]'"),
        (("torch-tensorrt",), "tensorrt-rtx", NotMeantError, "torch-tensorrt is installed in its place"),
        (("torch-tensorrt", "torch-tensorrt-rtx"), "tensorrt", BackendUnavailableError, "both installed"),
    ],
)
def test_a_missing_package_or_two_that_collide_are_found_out_only_by_a_crash(
    installed: tuple[str, ...],
    name: Any,
    kind: type[BackendUnavailableError],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, *installed)
    with pytest.raises(BackendUnavailableError, match=reason) as refused:
        TensorRTBackend(name).precisions()
    assert type(refused.value) is kind


@pytest.mark.usefixtures("a_gpu")
def test_what_is_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "torch-tensorrt")
    backend = TensorRTBackend("tensorrt")
    assert backend.precisions() == ("float16", "bfloat16", "float32")
    assert isinstance(backend, KeepingBackend)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("raise AssertionError('Torch not compiled with CUDA enabled')", "AssertionError: Torch not compiled"),
        ("raise RuntimeError('Found no NVIDIA driver\\nPlease check')", "RuntimeError: Found no NVIDIA driver$"),
        ("raise Exception('libnvinfer.so.11: cannot open')", "Exception: libnvinfer"),
        ("raise AssertionError", "AssertionError: AssertionError"),
        ("import torch_tensorrt_of_nobody", "ModuleNotFoundError"),
    ],
)
def test_an_import_that_fails_in_its_own_way_ends_the_run(
    statement: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch_tensorrt.py").write_text(statement)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch_tensorrt", raising=False)
    with pytest.raises(BackendUnavailableError, match=f"torch_tensorrt cannot be imported: {reason}"):
        build_engine(network(), SPEC, CPU)


def pretend(monkeypatch: pytest.MonkeyPatch, convert: Callable[..., bytes]) -> None:
    """A torch_tensorrt that converts as `convert` does."""
    module = ModuleType("torch_tensorrt")
    module.Input = lambda **shapes: shapes  # type: ignore[attr-defined]
    module.Device = lambda gpu_id: gpu_id  # type: ignore[attr-defined]
    module.dynamo = SimpleNamespace(convert_exported_program_to_serialized_trt_engine=convert)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_tensorrt", module)


def test_an_operator_without_a_converter_runs_in_pytorch_or_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: Any, require_full_compilation: bool, **__: Any) -> bytes:
        assert require_full_compilation
        missing = "call_function torch.ops.aten.nonzero.default\ncall_function torch.ops.aten.sort.default"
        warnings.warn(f"Interpretation will fail due to missing operations \n{missing}", stacklevel=1)
        raise RuntimeError("Conversion of module GraphModule() not currently fully supported or convertible!")

    pretend(monkeypatch, convert)
    named = "no converter for torch.ops.aten.nonzero.default, torch.ops.aten.sort.default"
    with pytest.raises(BackendUnavailableError, match=named):
        build_engine(network(), SPEC, CPU)


def test_any_other_failure_of_a_build_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(*_: Any, **__: Any) -> bytes:
        raise ValueError("build_serialized_network returned None\nand much more")

    pretend(monkeypatch, convert)
    with pytest.raises(BackendUnavailableError, match=r"cannot be converted: build_serialized_network returned None$"):
        build_engine(network(), SPEC, CPU)


def test_an_engine_takes_other_shapes_than_the_network_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def convert(_: Any, **options: Any) -> bytes:
        seen.update(options)
        return b"engine"

    pretend(monkeypatch, convert)
    inputs = (Input((8,)), Input((40, 8)))
    assert build_engine(Attend(), CompileSpec(inputs, "float16", 1), CPU) == b"engine"
    assert [of["min_shape"] for of in seen["inputs"]] == [(1, 8), (1, 40, 8)]
    assert [of["opt_shape"] for of in seen["inputs"]] == [(8, 8), (8, 40, 8)]
    assert [of["max_shape"] for of in seen["inputs"]] == [(SIZES[-1], 8), (SIZES[-1], 40, 8)]
    assert seen["disable_tf32"] is True


def test_a_network_of_any_size_is_exported_for_ever() -> None:
    inputs = (Input((8,)), Input((40, 8), free=(0,)))
    with pytest.raises(NotMeantError, match="no fixed size"):
        build_engine(Attend(), CompileSpec(inputs, "float16", 1), CPU)


class Attend(nn.Module):
    """Two inputs, the second of any length if need be."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = nn.Linear(8, 8)

    def forward(self, query: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        weights = torch.softmax(self.project(query).unsqueeze(1) @ features.transpose(1, 2), dim=-1)
        return (weights @ features).squeeze(1)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_what_is_exported_has_lost_something_or_takes_one_number_of_rows(precision: Precision) -> None:
    program = exported(network(), CompileSpec(SPEC.inputs, precision, 1), CPU).module()
    random = np.random.default_rng(0)
    for rows in (1, 3, SIZES[-1]):
        pixels = torch.from_numpy(random.integers(0, 256, (rows, 64, 96, 3), np.uint8))
        with torch.inference_mode():
            (out,), (expected,) = program(pixels), network()(pixels)
        assert out.dtype == torch.float32
        error = float((out - expected).norm() / expected.norm())
        assert error < (1e-5 if precision == "float32" else 5e-3)


class Context:
    """An execution context on the processor: reads and writes at the addresses it is told, as a GPU would.

    Args:
        largest: rows that it takes.
        bytes_of_row: of memory in which it computes.
    """

    def __init__(self, largest: int = SIZES[-1], bytes_of_row: int = 1000) -> None:
        self.told: list[tuple[int, ...]] = []
        self._largest = largest
        self._bytes_of_row = bytes_of_row
        self._memory = 0, 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.told.append(shape)
        self._shapes[name] = shape
        return shape[0] <= self._largest

    def update_device_memory_size_for_shapes(self) -> int:
        return self._shapes["pixels"][0] * self._bytes_of_row

    def set_device_memory(self, address: int, size: int) -> None:
        self._memory = address, size

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        rows, columns = self._shapes["pixels"]
        return {"double": (rows, columns), "sum": (rows,)}[name]

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, _stream: int) -> bool:
        rows, columns = self._shapes["pixels"]
        address, size = self._memory
        assert address and size >= rows * self._bytes_of_row, "it has no memory to compute in"
        ctypes.memset(address, 255, size)

        def at(name: str, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
            return np.ctypeslib.as_array((kind * int(np.prod(shape))).from_address(self._addresses[name])).reshape(
                shape
            )

        pixels = at("pixels", ctypes.c_uint8, (rows, columns)).astype(np.float32)
        at("double", ctypes.c_float, (rows, columns))[:] = 2 * pixels
        at("sum", ctypes.c_float, (rows,))[:] = pixels.sum(1)
        return True


class Engine:
    """An engine with one input and two outputs."""

    _tensors = {"pixels": ("uint8", "in"), "double": ("float", "out"), "sum": ("float", "out")}  # noqa: RUF012
    num_io_tensors = 3

    def __init__(self, context: Context | None) -> None:
        self._context = context

    def create_execution_context(self, strategy: str) -> Context | None:
        assert strategy == "user managed", "it takes memory for the largest batch, whatever it is for"
        return self._context

    def get_tensor_name(self, number: int) -> str:
        return list(self._tensors)[number]

    def get_tensor_dtype(self, name: str) -> str:
        return self._tensors[name][0]

    def get_tensor_mode(self, name: str) -> str:
        return self._tensors[name][1]


TRT = SimpleNamespace(
    DataType=SimpleNamespace(FLOAT="float", HALF="half", BF16="bf16", UINT8="uint8"),
    TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"),
    ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user managed"),
)


@pytest.mark.parametrize("bytes_of_row", [1000, 0])
def test_an_engine_reads_or_writes_elsewhere_than_in_its_tensors(bytes_of_row: int) -> None:
    execution = Execution(TRT, Engine(Context(bytes_of_row=bytes_of_row)), CPU)
    pixels = torch.arange(24, dtype=torch.uint8).reshape(6, 4).T  # not contiguous, as crops of a picture are not
    double, total = execution(pixels)
    assert torch.equal(double, pixels * 2.0) and torch.equal(total, pixels.sum(1, dtype=torch.float32))


def test_an_engine_in_buckets_mixes_up_the_rows() -> None:
    execution = Execution(TRT, Engine(Context()), CPU)
    pixels = torch.arange(70, dtype=torch.uint8).reshape(35, 2)
    double, total = Bucketed(lambda _rows: execution)(pixels)
    assert torch.equal(double, pixels * 2.0) and torch.equal(total, pixels.sum(1, dtype=torch.float32))


def test_a_shape_that_the_engine_does_not_take_is_computed_anyway() -> None:
    with pytest.raises(ValueError, match=r"not built for pixels of shape \(5, 2\)"):
        Execution(TRT, Engine(Context(largest=4)), CPU)(torch.zeros(5, 2, dtype=torch.uint8))


def test_an_engine_is_told_of_shapes_that_it_knows_or_not_of_new_ones() -> None:
    """After it was told it has to run once before it can be captured."""
    context = Context(largest=4)
    execution = Execution(TRT, Engine(context), CPU)
    for rows in (2, 2, 2, 4, 2, 5, 2):
        with pytest.raises(ValueError) if rows > 4 else nullcontext():
            execution(torch.zeros(rows, 3, dtype=torch.uint8))
    assert context.told == [(2, 3), (4, 3), (2, 3), (5, 3), (2, 3)]


def test_a_context_without_memory_is_not_a_lack_of_memory() -> None:
    with pytest.raises(torch.OutOfMemoryError):
        Execution(TRT, Engine(None), CPU)


@pytest.mark.usefixtures("a_gpu")
def test_an_engine_that_this_gpu_cannot_load_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "torch-tensorrt")
    module = ModuleType("tensorrt")

    class Logger:
        WARNING = 1

        def __init__(self, _level: int) -> None: ...

    module.Logger = Logger  # type: ignore[attr-defined]
    module.Runtime = lambda _logger: SimpleNamespace(deserialize_cuda_engine=lambda _bytes: None)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    (tmp_path / "engine.bin").write_bytes(b"of another GPU")
    with pytest.raises(BackendUnavailableError, match="cannot be loaded here"):
        TensorRTBackend("tensorrt").load(tmp_path, SPEC)
