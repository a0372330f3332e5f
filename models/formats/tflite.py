"""The tensors and operators of a TensorFlow Lite file, read with the `tflite` package; nothing is run."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from models.errors import CheckpointError

_DTYPES: dict[int, type[np.generic]] = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.FLOAT64: np.float64,
    tflite.TensorType.INT8: np.int8,
    tflite.TensorType.INT16: np.int16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
    tflite.TensorType.UINT8: np.uint8,
    tflite.TensorType.BOOL: np.bool_,
}


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if not name.startswith("_")}


_OPTION_CLASSES = _names(tflite.BuiltinOptions)
_ENUMS = {"padding": _names(tflite.Padding), "fused_activation_function": _names(tflite.ActivationFunctionType)}


@dataclass(frozen=True, slots=True, eq=False)
class TfliteTensor:
    """One tensor: `data` is None where it is computed, else the constant, as in the file or dequantised to float32."""

    name: str
    shape: tuple[int, ...]
    data: npt.NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class TfliteOperator:
    """One operator of the graph.

    Attributes:
        op: TensorFlow Lite's name of it, such as "CONV_2D".
        inputs, outputs: indices of tensors; an omitted optional input is -1.
        options: the scalar options in snake case: {"padding": "SAME", "stride_h": 2, "fused_activation_function":
            "RELU6", ...}; padding and fused activation by name.
    """

    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, int | float | bool | str]


@dataclass(frozen=True, slots=True, eq=False)
class TfliteGraph:
    """The first subgraph of a file: tensors by index, operators in order of execution, the graph's own in- and outputs.

    A `DEQUANTIZE` of float16 constants is folded: the tensor it fills holds the float32 data, the operator is gone.
    """

    tensors: tuple[TfliteTensor, ...]
    operators: tuple[TfliteOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(path: Path) -> TfliteGraph:
    """The graph in the TensorFlow Lite file at `path`.

    Raises:
        CheckpointError: the file is not a whole TensorFlow Lite model.
        OSError: the file cannot be opened.
    """
    data = path.read_bytes()
    try:
        if not tflite.Model.ModelBufferHasIdentifier(data, 0):
            raise ValueError("it lacks the mark TFL3")
        return _graph(tflite.Model.GetRootAsModel(data, 0))
    except (struct.error, IndexError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise CheckpointError(
            f"{path} is not a whole TensorFlow Lite model ({error}); delete it and fetch it again"
        ) from error


def _graph(model: Any) -> TfliteGraph:
    subgraph = model.Subgraphs(0)
    tensors = [_tensor(model, subgraph.Tensors(i)) for i in range(subgraph.TensorsLength())]
    operators = []
    for i in range(subgraph.OperatorsLength()):
        operator = _operator(model, subgraph.Operators(i))
        if not _fold(operator, tensors):
            operators.append(operator)
    if not operators:
        raise ValueError("it has no operators")
    return TfliteGraph(
        tensors=tuple(tensors),
        operators=tuple(operators),
        inputs=tuple(int(i) for i in subgraph.InputsAsNumpy()),
        outputs=tuple(int(i) for i in subgraph.OutputsAsNumpy()),
    )


def _tensor(model: Any, tensor: Any) -> TfliteTensor:
    shape = tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))
    buffer = model.Buffers(tensor.Buffer())
    data = None
    if buffer.DataLength():
        # A copy, so that the constants do not keep the whole file alive.
        data = buffer.DataAsNumpy().view(_DTYPES[tensor.Type()]).reshape(shape).copy()
    return TfliteTensor(name=tensor.Name().decode(), shape=shape, data=data)


def _operator(model: Any, operator: Any) -> TfliteOperator:
    return TfliteOperator(
        op=tflite.opcode2name(_opcode(model.OperatorCodes(operator.OpcodeIndex()))),
        inputs=tuple(int(operator.Inputs(i)) for i in range(operator.InputsLength())),
        outputs=tuple(int(operator.Outputs(i)) for i in range(operator.OutputsLength())),
        options=_options(operator),
    )


def _opcode(code: Any) -> int:
    """Files written before TensorFlow 2.4 fill only the old, one-byte field; the schema says to take the larger."""
    return max(int(code.BuiltinCode()), int(code.DeprecatedBuiltinCode()))


def _options(operator: Any) -> dict[str, int | float | bool | str]:
    kind = _OPTION_CLASSES[operator.BuiltinOptionsType()]
    table = operator.BuiltinOptions()
    if kind == "NONE" or table is None:
        return {}
    options = getattr(tflite, kind)()
    options.Init(table.Bytes, table.Pos)
    values = {}
    for getter in vars(type(options)):
        # Scalars have a getter of their plain name; vectors have four, of which ...AsNumpy and ...Length tell.
        if getter.startswith(("_", "Init", "GetRoot")) or f"{getter}Length" in vars(type(options)):
            continue
        if getter.endswith(("AsNumpy", "Length", "IsNone", "HasIdentifier")):
            continue
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", getter).lower()
        value = getattr(options, getter)()
        values[name] = _ENUMS[name][value] if name in _ENUMS else value
    return values


def _fold(operator: TfliteOperator, tensors: list[TfliteTensor]) -> bool:
    """Whether `operator` widens float16 constants; if so its output becomes a float32 constant."""
    if operator.op != "DEQUANTIZE":
        return False
    source, target = operator.inputs[0], operator.outputs[0]
    half = tensors[source].data
    if half is None or half.dtype != np.float16:
        return False
    tensors[target] = TfliteTensor(tensors[target].name, tensors[target].shape, half.astype(np.float32))
    return True
