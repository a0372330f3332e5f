from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cspnext import Scale
from models.errors import CheckpointError
from models.formats.onnx import OnnxGraph
from models.layers import fuse
from models.pose.rtmpose import SCALES, RTMPose
from tests.models.graphs import exported, scrambled

TINY = Scale(1 / 3, 1 / 8)
SIZE = (64, 96)
KEPT = [
    *(f"backbone.{stage}.attention.fc.{kind}" for stage in ("stage1.1", "stage4.2") for kind in ("weight", "bias")),
    *("head.final_layer.weight", "head.final_layer.bias", "head.mlp.0.g"),
    *("head.gau.beta", "head.gau.ln.g", "head.gau.res_scale.scale"),
]
"""Of the tensors whose names survive an export, those of which every kind is represented."""


def network(scale: Scale = TINY, keypoints: int = 26, size: tuple[int, int] = SIZE) -> RTMPose:
    torch.manual_seed(0)
    net = scrambled(RTMPose(scale, keypoints, size))
    torch.nn.init.uniform_(net.head.gau.res_scale.scale, 0.5, 1.5)
    torch.nn.init.uniform_(net.head.gau.ln.g, 0.5, 1.5)
    return net


def images(batch: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(1))


def run(net: RTMPose, pixels: Tensor) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return net(pixels)


def assert_same(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor], tolerance: float = 1e-5) -> None:
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


def graph_of(net: RTMPose) -> OnnxGraph:
    """`net` as OpenMMLab's exporter writes it: the attention's gamma has lost its name and gained two dimensions."""
    graph = exported(fuse(net), torch.zeros(1, 3, *net.size), KEPT)
    gamma = net.head.gau.gamma.detach().numpy().reshape(1, 1, 2, 128)
    return dataclasses.replace(graph, initializers={**graph.initializers, "631": gamma})


@pytest.mark.parametrize(("size", "millions"), [("t", 3.34), ("s", 5.47), ("m", 13.59)])
def test_every_size_has_the_published_number_of_parameters(size: str, millions: float) -> None:
    with torch.device("meta"):
        parameters = sum(tensor.numel() for tensor in RTMPose(SCALES[size]).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_the_tensors_bear_the_names_that_openmmlab_published() -> None:
    names = RTMPose(SCALES["s"]).state_dict().keys()
    assert len(names) == 254
    assert {
        "backbone.stem.2.conv.weight",
        "backbone.stage1.0.bn.running_var",
        "backbone.stage2.1.blocks.1.conv2.depthwise_conv.conv.weight",
        "backbone.stage3.1.blocks.0.conv2.pointwise_conv.bn.bias",
        "backbone.stage3.1.attention.fc.bias",
        "backbone.stage4.1.conv2.conv.weight",
        "backbone.stage4.2.short_conv.bn.weight",
    } <= names
    assert {name for name in names if name.startswith("head.")} == {
        *("head.final_layer.weight", "head.final_layer.bias", "head.mlp.0.g", "head.mlp.1.weight"),
        *("head.gau.uv.weight", "head.gau.o.weight", "head.gau.gamma", "head.gau.beta", "head.gau.ln.g"),
        *("head.gau.res_scale.scale", "head.cls_x.weight", "head.cls_y.weight"),
    }


@pytest.mark.parametrize("scale", [TINY, Scale(1 / 6, 1 / 8), Scale(2 / 3, 1 / 8)])
def test_a_published_checkpoint_gives_the_network_it_came_from(scale: Scale) -> None:
    trained = network(scale)
    loaded = RTMPose.from_checkpoint(trained.state_dict())
    assert loaded.size == SIZE
    assert_same(run(loaded, images()), run(trained, images()), tolerance=0)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda state: state.pop("head.gau.o.weight"), "1 tensors missing, first head.gau.o.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 tensors unexpected, first extra"),
        (lambda state: state.update({"head.gau.beta": torch.zeros(7)}), "head.gau.beta is [7] instead of [2, 128]"),
        (lambda state: state.pop("head.cls_x.weight"), "they lack 'head.cls_x.weight'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_name_of_the_tensor(spoil: object, named: str) -> None:
    state = network().state_dict()
    spoil(state)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=re.escape(named)):
        RTMPose.from_checkpoint(state)


@pytest.mark.parametrize("scale", [TINY, Scale(1 / 6, 1 / 8), Scale(2 / 3, 1 / 8)])
def test_an_exported_graph_gives_the_network_it_came_from(scale: Scale) -> None:
    trained = network(scale)
    expected = run(trained, images())
    loaded = RTMPose.from_onnx(graph_of(trained))
    assert loaded.size == SIZE
    assert_same(run(loaded, images()), expected)


def test_a_graph_that_lacks_the_attention_is_refused() -> None:
    graph = graph_of(network())
    tensors = {name: array for name, array in graph.initializers.items() if name != "631"}
    with pytest.raises(CheckpointError, match="lacks tensors of the attention"):
        RTMPose.from_onnx(dataclasses.replace(graph, initializers=tensors))


def test_a_graph_without_its_last_layers_is_refused() -> None:
    graph = graph_of(network())
    with pytest.raises(CheckpointError, match="not .*RTMPose"):
        RTMPose.from_onnx(dataclasses.replace(graph, nodes=graph.nodes[:-1]))


def test_an_empty_graph_is_refused() -> None:
    with pytest.raises(CheckpointError, match="not an RTMPose"):
        RTMPose.from_onnx(OnnxGraph({}, (), (), ()))


def test_folding_batch_norm_does_not_change_the_output() -> None:
    net = network()
    before = run(net, images())
    fused = net.fuse()
    assert not any(".bn." in name for name in fused.state_dict())
    assert_same(run(fused, images()), before)


def test_the_first_17_of_26_keypoints_stay_what_they_were() -> None:
    x, y = run(network(), images())
    kept = run(network().keep_keypoints(17), images())
    assert_same(kept, (x[:, :17], y[:, :17]))


def test_a_person_gets_the_same_output_alone_and_in_a_batch() -> None:
    pixels = images(batch=3)
    x, y = run(network(), pixels)
    for row in range(3):
        assert_same(run(network(), pixels[row : row + 1]), (x[row : row + 1], y[row : row + 1]), tolerance=1e-4)


def test_a_black_crop_gives_finite_numbers() -> None:
    net = network()
    with torch.no_grad():
        net.head.final_layer.weight.zero_()
        net.head.final_layer.bias.zero_()
    assert all(torch.isfinite(output).all() for output in run(net, images()))


def test_openvino_takes_any_number_of_people() -> None:
    openvino = pytest.importorskip("openvino")
    net = network().fuse().keep_keypoints(17)
    model = openvino.convert_model(net, example_input=images(2))
    compiled = openvino.Core().compile_model(
        model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    )
    for people in (1, 3):
        found = compiled(images(people).numpy())
        for output, expected in zip(compiled.outputs, run(net, images(people)), strict=True):
            np.testing.assert_allclose(found[output], expected.numpy(), rtol=1e-4, atol=1e-5)


def test_torch_export_takes_any_number_of_people() -> None:
    net = network().fuse().keep_keypoints(17)
    people = torch.export.Dim("people", min=1, max=64)
    program = torch.export.export(net, (images(2),), dynamic_shapes=({0: people},))
    assert_same(program.module()(images(5)), run(net, images(5)))
