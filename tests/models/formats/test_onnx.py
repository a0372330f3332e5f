"""Reading ONNX files, whole, broken and foreign."""

import contextlib
from pathlib import Path

import numpy as np
import onnx as reference
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from models.errors import CheckpointError
from models.formats import onnx

WEIGHT = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)


def model() -> reference.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["y"], name="Conv_0", strides=[2, 2], group=1, auto_pad="VALID"),
        helper.make_node("Constant", [], ["top"], value=numpy_helper.from_array(np.float32([6.0]))),
        helper.make_node("Clip", ["y", "", "top"], ["out"]),
    ]
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("x", "out")]
    weight = numpy_helper.from_array(WEIGHT, "weight")
    # Files of older exporters list the initializers among the inputs, too.
    listed = [shapes[0], helper.make_tensor_value_info("weight", TensorProto.FLOAT, WEIGHT.shape)]
    return helper.make_model(helper.make_graph(nodes, "net", listed, shapes[1:], [weight]))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    reference.save(model(), path)
    return path


def test_initializers_nodes_and_names_are_those_of_the_file(path: Path) -> None:
    graph = onnx.read(path)
    np.testing.assert_array_equal(graph.initializers["weight"], WEIGHT)
    assert [node.op for node in graph.nodes] == ["Conv", "Constant", "Clip"]
    assert graph.nodes[0].name == "Conv_0"
    assert graph.nodes[0].attributes == {"strides": [2, 2], "group": 1, "auto_pad": "VALID"}
    assert graph.outputs == ("out",)


def test_initializers_are_not_taken_for_inputs(path: Path) -> None:
    assert onnx.read(path).inputs == ("x",)


def test_an_omitted_input_keeps_its_place(path: Path) -> None:
    assert onnx.read(path).nodes[2].inputs == ("y", "", "top")


def test_a_tensor_in_an_attribute_becomes_an_array(path: Path) -> None:
    np.testing.assert_array_equal(onnx.read(path).nodes[1].attributes["value"], np.float32([6.0]))


def test_a_truncated_file_is_refused_with_its_name(path: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=r"cut\.onnx is not a whole ONNX model .* fetch it again"):
        onnx.read(cut)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"<html>log in first</html>", bytes(1000)])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "foreign.onnx").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a whole ONNX model"):
        onnx.read(tmp_path / "foreign.onnx")


def test_a_model_that_keeps_its_tensors_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").touch()
    reference.save(model(), tmp_path / "net.onnx", save_as_external_data=True, location="data", size_threshold=0)
    (tmp_path / "data").unlink()
    with pytest.raises(CheckpointError, match="not a whole ONNX model"):
        onnx.read(tmp_path / "net.onnx")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 399), byte=st.integers(0, 255))
def test_a_damaged_byte_never_ends_in_another_error(path: Path, tmp_path: Path, place: int, byte: int) -> None:
    content = bytearray(path.read_bytes())
    content[place % len(content)] = byte
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(content)
    with contextlib.suppress(CheckpointError):
        onnx.read(damaged)
