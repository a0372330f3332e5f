"""Reading TensorFlow Lite files, whole, broken and foreign."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import tflite as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import CheckpointError
from models.formats import tflite

WEIGHT = np.linspace(-1, 1, 12, dtype=np.float16).reshape(1, 2, 2, 3)
PADS = np.int32([[0, 0], [1, 1], [1, 1], [0, 0]])


def network() -> bytes:
    """A graph: x -> PAD -> CONV_2D with float16 weights that a DEQUANTIZE widens -> y."""
    builder = flatbuffers.Builder(0)
    buffers = [_buffer(builder, data) for data in (b"", PADS.tobytes(), WEIGHT.tobytes())]
    float32, float16, int32 = schema.TensorType.FLOAT32, schema.TensorType.FLOAT16, schema.TensorType.INT32
    tensors = [
        _tensor(builder, "x", (1, 6, 6, 3), float32, 0),
        _tensor(builder, "pads", (4, 2), int32, 1),
        _tensor(builder, "padded", (1, 8, 8, 3), float32, 0),
        _tensor(builder, "half", WEIGHT.shape, float16, 2),
        _tensor(builder, "weight", WEIGHT.shape, float32, 0),
        _tensor(builder, "y", (1, 4, 4, 1), float32, 0),
    ]
    schema.Conv2DOptionsStart(builder)
    schema.Conv2DOptionsAddPadding(builder, schema.Padding.VALID)
    schema.Conv2DOptionsAddStrideW(builder, 2)
    schema.Conv2DOptionsAddStrideH(builder, 2)
    schema.Conv2DOptionsAddFusedActivationFunction(builder, schema.ActivationFunctionType.RELU6)
    convolution = schema.Conv2DOptionsEnd(builder)
    ops = (schema.BuiltinOperator.PAD, schema.BuiltinOperator.DEQUANTIZE, schema.BuiltinOperator.CONV_2D)
    codes = [_code(builder, op) for op in ops]
    operators = [
        _operator(builder, 0, [0, 1], [2]),
        _operator(builder, 1, [3], [4]),
        _operator(builder, 2, [2, 4, -1], [5], schema.BuiltinOptions.Conv2DOptions, convolution),
    ]
    tensors_at = _offsets(builder, tensors, schema.SubGraphStartTensorsVector)
    operators_at = _offsets(builder, operators, schema.SubGraphStartOperatorsVector)
    inputs = builder.CreateNumpyVector(np.int32([0]))
    outputs = builder.CreateNumpyVector(np.int32([5]))
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, tensors_at)
    schema.SubGraphAddOperators(builder, operators_at)
    schema.SubGraphAddInputs(builder, inputs)
    schema.SubGraphAddOutputs(builder, outputs)
    subgraphs = _offsets(builder, [schema.SubGraphEnd(builder)], schema.ModelStartSubgraphsVector)
    codes_at = _offsets(builder, codes, schema.ModelStartOperatorCodesVector)
    buffers_at = _offsets(builder, buffers, schema.ModelStartBuffersVector)
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, subgraphs)
    schema.ModelAddOperatorCodes(builder, codes_at)
    schema.ModelAddBuffers(builder, buffers_at)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def _offsets(builder: flatbuffers.Builder, offsets: list[int], start: Callable[..., object]) -> int:
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: flatbuffers.Builder, data: bytes) -> int:
    vector = builder.CreateByteVector(data)
    schema.BufferStart(builder)
    schema.BufferAddData(builder, vector)
    return int(schema.BufferEnd(builder))


def _tensor(builder: flatbuffers.Builder, name: str, shape: tuple[int, ...], kind: int, buffer: int) -> int:
    name_at, shape_at = builder.CreateString(name), builder.CreateNumpyVector(np.int32(shape))
    schema.TensorStart(builder)
    schema.TensorAddName(builder, name_at)
    schema.TensorAddShape(builder, shape_at)
    schema.TensorAddType(builder, kind)
    schema.TensorAddBuffer(builder, buffer)
    return int(schema.TensorEnd(builder))


def _code(builder: flatbuffers.Builder, op: int) -> int:
    schema.OperatorCodeStart(builder)
    schema.OperatorCodeAddDeprecatedBuiltinCode(builder, op)
    return int(schema.OperatorCodeEnd(builder))


def _operator(
    builder: flatbuffers.Builder, code: int, inputs: list[int], outputs: list[int], kind: int = 0, options: int = 0
) -> int:
    inputs_at = builder.CreateNumpyVector(np.int32(inputs))
    outputs_at = builder.CreateNumpyVector(np.int32(outputs))
    schema.OperatorStart(builder)
    schema.OperatorAddOpcodeIndex(builder, code)
    schema.OperatorAddInputs(builder, inputs_at)
    schema.OperatorAddOutputs(builder, outputs_at)
    if kind:
        schema.OperatorAddBuiltinOptionsType(builder, kind)
        schema.OperatorAddBuiltinOptions(builder, options)
    return int(schema.OperatorEnd(builder))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tflite") / "net.tflite"
    path.write_bytes(network())
    return path


def test_float16_constants_come_widened_and_their_dequantize_is_gone(path: Path) -> None:
    graph = tflite.read(path)
    assert [operator.op for operator in graph.operators] == ["PAD", "CONV_2D"]
    weight = graph.tensors[graph.operators[1].inputs[1]]
    assert weight.name == "weight"
    assert weight.data is not None
    assert weight.data.dtype == np.float32
    np.testing.assert_array_equal(weight.data, WEIGHT.astype(np.float32))


def test_other_constants_keep_their_type_and_computed_tensors_have_no_data(path: Path) -> None:
    graph = tflite.read(path)
    x, pads, padded = graph.tensors[:3]
    assert (x.data, padded.data) == (None, None)
    assert x.shape == (1, 6, 6, 3)
    assert pads.data is not None
    np.testing.assert_array_equal(pads.data, PADS)
    assert pads.data.dtype == np.int32


def test_the_options_that_change_a_result_are_read_by_name(path: Path) -> None:
    options = tflite.read(path).operators[1].options
    assert options["padding"] == "VALID"
    assert (options["stride_w"], options["stride_h"]) == (2, 2)
    assert (options["dilation_w_factor"], options["dilation_h_factor"]) == (1, 1)
    assert options["fused_activation_function"] == "RELU6"


def test_an_omitted_input_keeps_its_place(path: Path) -> None:
    assert tflite.read(path).operators[1].inputs == (2, 4, -1)


def test_the_graphs_own_inputs_and_outputs_are_read(path: Path) -> None:
    graph = tflite.read(path)
    assert (graph.inputs, graph.outputs) == ((0,), (5,))


@pytest.mark.parametrize("share", [0.0, 0.01, 0.25, 0.5, 0.75, 0.9])
def test_a_truncated_file_is_refused_with_its_name(path: Path, tmp_path: Path, share: float) -> None:
    content = path.read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CheckpointError, match=r"cut\.tflite is not a whole TensorFlow Lite model .* fetch it again"):
        tflite.read(cut)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.tflite").write_bytes(b"<html>log in first</html>" * 50)
    with pytest.raises(CheckpointError, match="lacks the mark TFL3"):
        tflite.read(tmp_path / "page.tflite")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(8, 2000), byte=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_error(path: Path, tmp_path: Path, place: int, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        tflite.read(damaged)
