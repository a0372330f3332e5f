"""OpenVINO: the fastest way on a processor, straight from the `nn.Module`."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.backends.base import BackendUnavailableError, CompileSpec, Facts, NotCalibratedError, Precision

if TYPE_CHECKING:
    from torch import nn

_FILE = "network.xml"
"""Of a kept network; OpenVINO puts the weights beside it."""

_ROWS, _PIXELS = 4, 4 * 256 * 256
"""Rows of one request at most, and pixels of its pictures, unless one has more. More are no faster, and every row takes
memory: 8 MiB in RTMPose-s, 25 in YOLOX-tiny, 30 in BlazePose."""


class OpenVINOBackend:
    """Converts with `openvino.convert_model`, with a free batch dimension; keeps the converted network."""

    name = "openvino"
    quantises = False
    """Whether it makes networks in int8 itself; those that were kept it serves anyhow."""

    def precisions(self) -> tuple[Precision, ...]:
        """Float32 always; int8 and bfloat16 before it where OpenVINO lists them among the processor's capabilities."""
        lower: dict[str, Precision] = {"INT8": "int8", "BF16": "bfloat16"}
        capabilities = _capabilities()
        return (*(precision for name, precision in lower.items() if name in capabilities), "float32")

    def compile(self, network: nn.Module, spec: CompileSpec) -> OpenVINOCompiled:
        """Convert and compile; `network` itself stays as it is."""
        return OpenVINOCompiled(self.model(network, spec), spec)

    def identity(self) -> Facts:
        """Its version, and the processor's name: what passed the parity check on one may not on another."""
        import openvino

        return {"openvino": openvino.__version__, "device": str(_core().get_property("CPU", "FULL_DEVICE_NAME"))}

    def save(self, network: nn.Module, spec: CompileSpec, folder: Path) -> None:
        """Convert, in float32 even for bfloat16: it is compiled to that when it is loaded."""
        import openvino

        openvino.save_model(self.model(network, spec), folder / _FILE, compress_to_fp16=False)

    def load(self, folder: Path, spec: CompileSpec) -> OpenVINOCompiled:
        """Compile what was converted."""
        try:
            return OpenVINOCompiled(_core().read_model(folder / _FILE), spec)
        except RuntimeError as error:
            raise BackendUnavailableError(f"{folder} cannot be read: {error}") from error

    def model(self, network: nn.Module, spec: CompileSpec) -> Any:
        """`network` as an `openvino.Model`.

        Raises:
            NotCalibratedError: it would have to be quantised, for which this class has no samples.
        """
        if spec.precision == "int8":
            raise NotCalibratedError("it is not calibrated")
        return converted(network, spec)


class OpenVINOCompiled:
    """A network compiled by OpenVINO for the processor; one call at a time."""

    backend = "openvino"

    def __init__(self, model: Any, spec: CompileSpec) -> None:
        core = _core()
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _hint(spec.precision),
            "INFERENCE_NUM_THREADS": spec.threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        self.precision: Precision = spec.precision
        self._compiled = core.compile_model(model, "CPU", options)
        self._request = self._compiled.create_infer_request()
        self.device = str(core.get_property("CPU", "FULL_DEVICE_NAME"))

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        """Run one batch."""
        given = [np.ascontiguousarray(array) for array in inputs]
        rows = max(len(given[0]), 1)
        step = math.ceil(rows / math.ceil(rows / _most(given[0])))
        parts = [self._infer([array[start : start + step] for array in given]) for start in range(0, rows, step)]
        return parts[0] if len(parts) == 1 else tuple(np.concatenate(of_parts) for of_parts in zip(*parts, strict=True))

    def _infer(self, rows: list[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.float32], ...]:
        results = self._request.infer(dict(enumerate(rows)), share_inputs=True, share_outputs=False)
        return tuple(np.asarray(results[output], np.float32) for output in self._compiled.outputs)


def _most(batch: npt.NDArray[Any]) -> int:
    """Rows that one request takes: of pictures, uint8 [B, H, W, 3], fewer where they are large."""
    if batch.dtype != np.uint8 or batch.ndim != 4:
        return _ROWS
    height, width = map(int, batch.shape[1:3])
    return min(max(_PIXELS // (height * width), 1), _ROWS)


def converted(network: nn.Module, spec: CompileSpec) -> Any:
    """`network` as an `openvino.Model` of any batch size."""
    import openvino
    import torch

    example = tuple(torch.zeros((max(spec.batch, 2), *of.shape), dtype=getattr(torch, of.dtype)) for of in spec.inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of shape arithmetic that is constant here
        # Tracing checks itself by running the network three times more; the parity gate does that better.
        traced = torch.jit.trace(network.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        model = openvino.convert_model(traced, example_input=example)
    model.reshape(
        {
            number: [-1, *(-1 if axis in of.free else length for axis, length in enumerate(of.shape))]
            for number, of in enumerate(spec.inputs)
        }
    )
    return model


def _hint(precision: Precision) -> str:
    """What OpenVINO is to compute in; of a quantised network, those layers that are not."""
    if precision == "int8":
        return "bf16" if "BF16" in _capabilities() else "f32"
    return "bf16" if precision == "bfloat16" else "f32"


def _capabilities() -> list[str]:
    found: list[str] = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return found


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise BackendUnavailableError("OpenVINO is not installed (pip install 'peoplestream[cpu]')") from error
    return openvino.Core()
