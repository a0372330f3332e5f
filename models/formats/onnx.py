"""The initializers and nodes of an ONNX file, read with the `onnx` package; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from models.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One operator of the graph.

    Attributes:
        op: operator type, such as "Conv".
        name: as in the file; may be empty.
        inputs, outputs: names of tensors; an omitted optional input is "".
        attributes: name -> int, float, str, list of these, or ndarray.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxGraph:
    """An ONNX graph.

    Attributes:
        initializers: name -> the constant tensor, with the shape and dtype of the file.
        nodes: in the file's order, which is topological.
        inputs, outputs: names of the graph's own inputs (without the initializers) and outputs.
    """

    initializers: Mapping[str, npt.NDArray[Any]]
    nodes: tuple[OnnxNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read(path: Path) -> OnnxGraph:
    """The graph in the ONNX file at `path`.

    Raises:
        CheckpointError: the file is not a whole ONNX model, or keeps tensors in other files.
        OSError: the file cannot be opened.
    """
    data = path.read_bytes()
    try:
        graph = onnx.load_model_from_string(data).graph
        if not graph.node:
            raise ValueError("it has no operators")
        initializers = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
        nodes = tuple(_node(node) for node in graph.node)
    except (DecodeError, ValueError, TypeError, KeyError, OSError, onnx.checker.ValidationError) as error:
        raise CheckpointError(f"{path} is not a whole ONNX model ({error}); delete it and fetch it again") from error
    return OnnxGraph(
        initializers=initializers,
        nodes=nodes,
        inputs=tuple(value.name for value in graph.input if value.name not in initializers),
        outputs=tuple(value.name for value in graph.output),
    )


def _node(node: onnx.NodeProto) -> OnnxNode:
    return OnnxNode(
        op=node.op_type,
        name=node.name,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={attribute.name: _plain(onnx.helper.get_attribute_value(attribute)) for attribute in node.attribute},
    )


def _plain(value: Any) -> Any:
    """An attribute's value in Python's and numpy's own types."""
    if isinstance(value, onnx.TensorProto):
        return np.array(numpy_helper.to_array(value))
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
