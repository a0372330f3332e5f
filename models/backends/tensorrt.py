"""TensorRT and TensorRT-RTX: a whole network as one engine, kept on disk.

Networks are converted by torch_tensorrt's dynamo path, all of them or not at all: what has no converter is named and
the network refused, so that nothing of it can run in PyTorch unseen. Engines are run through TensorRT's own interface,
which loads in a second where torch_tensorrt takes ten.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.backends.base import BackendUnavailableError, CompileSpec, Facts, Input, NotMeantError, Precision
from models.backends.cuda import Graphs, precisions_of
from models.backends.nvidia import GPU, gpu

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from models.backends.buckets import OnDevice, Program

Flavour = Literal["tensorrt", "tensorrt-rtx"]

_MODULES: dict[Flavour, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}

_FILE = "engine.bin"

_TYPICAL_ROWS = 8
"""For which TensorRT chooses its kernels; the engine takes any number of rows up to the largest bucket."""


class TensorRTBackend:
    """Builds and runs engines of one of the two packages, of which only one can be installed.

    Args:
        flavour: "tensorrt" tries kernels out while it builds; "tensorrt-rtx" chooses them when an engine is loaded.
    """

    def __init__(self, flavour: Flavour) -> None:
        self.name: str = flavour
        self._flavour = flavour

    def precisions(self) -> tuple[Precision, ...]:
        """See `models.backends.cuda.precisions_of`."""
        return precisions_of(self._ready())

    def identity(self) -> Facts:
        """Versions, the GPU, and what decides about an engine's shapes: an engine fits nothing else."""
        import torch

        from models.backends.buckets import SIZES

        here = self._ready()
        return {
            "torch_tensorrt": version(f"torch-{self.name}"),
            "tensorrt": str(_import(_MODULES[self._flavour]).__version__),
            "cuda": str(torch.version.cuda),
            "gpu": here.name,
            "capability": list(here.capability),
            "rows": [1, _TYPICAL_ROWS, SIZES[-1]],
            "tf32": False,
        }

    def compile(self, network: nn.Module, spec: CompileSpec) -> OnDevice:
        """Build an engine and load it, without keeping it."""
        with tempfile.TemporaryDirectory() as folder:
            self.save(network, spec, Path(folder))
            return self.load(Path(folder), spec)

    def save(self, network: nn.Module, spec: CompileSpec, folder: Path) -> None:
        """Build an engine.

        Raises:
            BackendUnavailableError: it cannot be built; where operators have no converter, the message lists them.
        """
        import torch

        here = self._ready()
        (folder / _FILE).write_bytes(build_engine(network, spec, torch.device("cuda", here.index)))

    def load(self, folder: Path, spec: CompileSpec) -> OnDevice:
        """What `save` has built."""
        import torch

        from models.backends.buckets import Bucketed, OnDevice

        here = self._ready()
        device = torch.device("cuda", here.index)
        trt = _import(_MODULES[self._flavour])
        engine = trt.Runtime(_logger(trt)).deserialize_cuda_engine((folder / _FILE).read_bytes())
        if engine is None:
            raise BackendUnavailableError(f"{folder / _FILE} cannot be loaded here; TensorRT's own message is above")
        make = partial(Execution, trt, engine, device)
        if self._flavour == "tensorrt":
            prepare: Callable[[int], Program] = Graphs(make, spec, device)
        else:  # compiles kernels while it runs, which must not happen inside a CUDA graph of ours
            execution = make()
            prepare = lambda _rows: execution  # noqa: E731
        return OnDevice(self.name, spec.precision, here.name, device, Bucketed(prepare))

    def _ready(self) -> GPU:
        """The GPU, where everything is installed that is needed."""
        here = gpu()
        other: Flavour = "tensorrt" if self._flavour == "tensorrt-rtx" else "tensorrt-rtx"
        if not _installed(self._flavour):
            if _installed(other):
                raise NotMeantError(f"torch-{other} is installed in its place")
            raise BackendUnavailableError(
                f"torch-{self.name} is not installed (pip install 'peoplestream[{self.name}]')"
            )
        if _installed(other):
            raise BackendUnavailableError(
                f"torch-{self.name} and torch-{other} are both installed, but their files have the same names; "
                f"remove both and install the one that is wanted"
            )
        return here


class Execution:
    """An engine with a context of its own; one call at a time.

    The memory in which it computes is PyTorch's, of no more bytes than the rows of that call need. So in a CUDA graph
    it is the graphs' common memory, and a lack of it is PyTorch's, which first gives back what it keeps unused.

    Args:
        trt: the module `tensorrt` or `tensorrt_rtx`. engine: of it.
        device: where inputs are brought to and outputs are.

    Raises:
        torch.OutOfMemoryError: there is no memory for it.
    """

    def __init__(self, trt: Any, engine: Any, device: torch.device) -> None:
        import torch

        self._device = device
        self._context = engine.create_execution_context(trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if self._context is None:
            raise torch.OutOfMemoryError("TensorRT cannot create an execution context")
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        dtypes = {
            trt.DataType.FLOAT: torch.float32,
            trt.DataType.HALF: torch.float16,
            trt.DataType.BF16: torch.bfloat16,
            trt.DataType.UINT8: torch.uint8,
        }
        self._dtypes = {name: dtypes[engine.get_tensor_dtype(name)] for name in names}
        given = [engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT for name in names]
        self._inputs = [name for name, is_input in zip(names, given, strict=True) if is_input]
        self._outputs = [name for name, is_input in zip(names, given, strict=True) if not is_input]
        self._shapes: list[tuple[int, ...]] = []
        self._bytes = 0

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Tensors of the engine's inputs, wherever they lie, to its outputs, in the order of the current stream."""
        import torch

        placed = [
            of.to(self._device, self._dtypes[name], non_blocking=True).contiguous()
            for name, of in zip(self._inputs, inputs, strict=True)
        ]
        self._set_shapes([tuple(of.shape) for of in placed])
        outputs = [
            torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=self._dtypes[name], device=self._device)
            for name in self._outputs
        ]
        for name, of in zip([*self._inputs, *self._outputs], [*placed, *outputs], strict=True):
            self._context.set_tensor_address(name, of.data_ptr())
        memory = torch.empty(self._bytes, dtype=torch.uint8, device=self._device)
        self._context.set_device_memory(memory.data_ptr(), self._bytes)
        stream = torch.cuda.current_stream(self._device) if self._device.type == "cuda" else None
        if not self._context.execute_async_v3(stream.cuda_stream if stream else 0):
            raise RuntimeError("TensorRT cannot run the engine; its own message is above")
        return tuple(outputs)

    def _set_shapes(self, shapes: list[tuple[int, ...]]) -> None:
        """Tell TensorRT of other shapes than before: after that it wants to run once before it can be captured."""
        if shapes == self._shapes:
            return
        self._shapes = []
        for name, shape in zip(self._inputs, shapes, strict=True):
            if not self._context.set_input_shape(name, shape):
                raise ValueError(f"the engine was not built for {name} of shape {shape}")
        self._bytes = max(1, self._context.update_device_memory_size_for_shapes())
        self._shapes = shapes


def build_engine(network: nn.Module, spec: CompileSpec, device: torch.device) -> bytes:
    """A serialised engine of all of `network`, for 1 to `SIZES[-1]` rows; its outputs are float32.

    Types are explicit: what `Lowered` keeps in float32 is float32 in the engine.

    Args:
        network: stays as it is.
        spec: what to build for.
        device: where the weights are while it is built.

    Raises:
        NotMeantError: an input has free axes: `torch.export` reasons about MobileSAM's for minutes on end.
        BackendUnavailableError: it cannot be built; where operators have no converter, the message lists them.
    """
    if any(of.free for of in spec.inputs):
        raise NotMeantError("the inputs of this network have no fixed size")
    torch_tensorrt = _import("torch_tensorrt")
    with warnings.catch_warnings(record=True) as told, tempfile.TemporaryDirectory() as scratch:
        warnings.simplefilter("always")
        try:
            engine: bytes = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
                exported(network, spec, device),
                inputs=[torch_tensorrt.Input(**_shapes(of)) for of in spec.inputs],
                device=torch_tensorrt.Device(gpu_id=device.index or 0),
                require_full_compilation=True,
                disable_tf32=True,
                timing_cache_path=str(Path(scratch, "timing.bin")),
            )
        except Exception as error:  # torch.export and the converters raise whatever they like
            missing = _without_converter(str(warning.message) for warning in told)
            reason = f"it has no converter for {', '.join(missing)}" if missing else _first_line(error)
            raise BackendUnavailableError(f"cannot be converted: {reason}") from error
    return engine


def exported(network: nn.Module, spec: CompileSpec, device: torch.device) -> ExportedProgram:
    """The network in the precision of `spec`, as `torch.export` sees it, of any number of rows up to the largest."""
    import torch
    from torch.export import Dim

    from models.backends.buckets import SIZES
    from models.backends.half import Lowered

    batch = Dim("batch", min=1, max=SIZES[-1])
    dynamic = tuple({0: batch} for _ in spec.inputs)
    example = tuple(
        torch.zeros((_TYPICAL_ROWS, *of.shape), dtype=getattr(torch, of.dtype), device=device) for of in spec.inputs
    )
    lowered = Lowered(network, spec.precision).to(device)
    return torch.export.export(lowered, example, dynamic_shapes=(dynamic,), strict=False)


def _shapes(of: Input) -> dict[str, Any]:
    """The smallest, the typical and the largest shape of an input, as `torch_tensorrt.Input` wants them."""
    import torch

    from models.backends.buckets import SIZES

    return {
        "min_shape": (1, *of.shape),
        "opt_shape": (_TYPICAL_ROWS, *of.shape),
        "max_shape": (SIZES[-1], *of.shape),
        "dtype": getattr(torch, of.dtype),
    }


def _without_converter(told: Iterable[str]) -> list[str]:
    """Operators that torch_tensorrt's warnings name as those that it cannot convert."""
    named = [warning for warning in told if "missing operations" in warning]
    return sorted({line.split()[-1] for warning in named for line in warning.splitlines()[1:] if line.strip()})


@cache
def _logger(trt: Any) -> Any:
    """Kept for ever: TensorRT goes on using the first that it was given."""
    return trt.Logger(trt.Logger.WARNING)


def _installed(flavour: Flavour) -> bool:
    try:
        version(f"torch-{flavour}")
    except PackageNotFoundError:
        return False
    return True


def _import(name: str) -> Any:
    """A module of NVIDIA's.

    Raises:
        BackendUnavailableError: it cannot be imported. Without a GPU torch_tensorrt raises AssertionError where PyTorch
            has no CUDA, RuntimeError where there is no driver, and a bare Exception where a library is missing.
    """
    try:
        return import_module(name)
    except Exception as error:
        raise BackendUnavailableError(
            f"{name} cannot be imported: {type(error).__name__}: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
