from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.detect.csp_darknet import Scale
from models.detect.yolox import SCALES, YOLOX
from models.errors import CheckpointError
from models.layers import fuse
from tests.models.golden import assert_close, eager, pixels, published_state
from tests.models.graphs import exported, scrambled
from tests.oracles import openmmlab

GOLDEN = Path(__file__).parent / "golden" / "yolox_tiny.npz"
TINY = Scale(1 / 3, 1 / 8)
EXAMPLE = torch.zeros(1, 3, 64, 64)
KEPT = [
    f"bbox_head.multi_level_conv_{what}.{level}.{kind}"
    for what in ("cls", "reg", "obj")
    for level in range(3)
    for kind in ("weight", "bias")
]
"""The tensors whose names survive an export, because no batch-norm is folded into them."""


def network(scale: Scale = TINY, classes: int = 3) -> YOLOX:
    torch.manual_seed(0)
    return scrambled(YOLOX(scale, classes))


def images(height: int = 64, width: int = 96, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)) * 255


def run(net: YOLOX, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(pixels)


def by_megvii(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """These tensors under the names that Megvii's own code gives them."""
    parts = {
        "backbone.stem.": "backbone.backbone.stem.",
        "backbone.stage1.": "backbone.backbone.dark2.",
        "backbone.stage2.": "backbone.backbone.dark3.",
        "backbone.stage3.": "backbone.backbone.dark4.",
        "backbone.stage4.": "backbone.backbone.dark5.",
        "neck.reduce_layers.0.": "backbone.lateral_conv0.",
        "neck.reduce_layers.1.": "backbone.reduce_conv1.",
        "neck.top_down_blocks.0.": "backbone.C3_p4.",
        "neck.top_down_blocks.1.": "backbone.C3_p3.",
        "neck.downsamples.0.": "backbone.bu_conv2.",
        "neck.downsamples.1.": "backbone.bu_conv1.",
        "neck.bottom_up_blocks.0.": "backbone.C3_n3.",
        "neck.bottom_up_blocks.1.": "backbone.C3_n4.",
        "neck.out_convs.": "head.stems.",
        "bbox_head.multi_level_cls_convs.": "head.cls_convs.",
        "bbox_head.multi_level_reg_convs.": "head.reg_convs.",
        "bbox_head.multi_level_conv_cls.": "head.cls_preds.",
        "bbox_head.multi_level_conv_reg.": "head.reg_preds.",
        "bbox_head.multi_level_conv_obj.": "head.obj_preds.",
    }
    inner = {"main_conv": "conv1", "short_conv": "conv2", "final_conv": "conv3", "blocks": "m"}
    inner |= {"depthwise_conv": "dconv", "pointwise_conv": "pconv"}
    renamed = {}
    for name, tensor in state.items():
        start = next(part for part in parts if name.startswith(part))
        rest = [inner.get(word, word) for word in name.removeprefix(start).split(".")]
        renamed[parts[start] + ".".join(rest)] = tensor
    return renamed


@pytest.mark.parametrize(
    ("size", "millions"), [("nano", 0.91), ("tiny", 5.06), ("s", 8.97), ("m", 25.33), ("l", 54.21), ("x", 99.07)]
)
def test_every_size_has_the_published_number_of_parameters(size: str, millions: float) -> None:
    with torch.device("meta"):
        parameters = sum(tensor.numel() for tensor in YOLOX(SCALES[size]).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_the_tensors_bear_the_names_that_openmmlab_published() -> None:
    names = YOLOX(SCALES["tiny"]).state_dict().keys()
    assert len(names) == 462
    assert {
        "backbone.stem.conv.conv.weight",
        "backbone.stage1.0.bn.running_var",
        "backbone.stage2.1.blocks.2.conv2.conv.weight",
        "backbone.stage4.1.conv2.conv.weight",
        "backbone.stage4.2.short_conv.bn.weight",
        "neck.reduce_layers.1.conv.weight",
        "neck.top_down_blocks.0.blocks.0.conv1.conv.weight",
        "neck.downsamples.0.conv.weight",
        "neck.bottom_up_blocks.1.final_conv.conv.weight",
        "neck.out_convs.2.conv.weight",
        "bbox_head.multi_level_cls_convs.0.1.conv.weight",
        "bbox_head.multi_level_reg_convs.2.0.bn.bias",
        "bbox_head.multi_level_conv_obj.1.bias",
    } <= names
    depthwise = YOLOX(SCALES["nano"]).state_dict().keys()
    assert {
        "backbone.stage1.0.depthwise_conv.conv.weight",
        "backbone.stage1.1.blocks.0.conv2.pointwise_conv.bn.bias",
        "neck.downsamples.1.pointwise_conv.conv.weight",
        "bbox_head.multi_level_reg_convs.0.0.depthwise_conv.conv.weight",
    } <= depthwise


def test_names_and_outputs_are_those_of_openmmlab() -> None:
    golden, net = np.load(GOLDEN), YOLOX(SCALES["tiny"])
    assert openmmlab.digest(net.state_dict()) == str(golden["names"])
    net = YOLOX.from_checkpoint(published_state(net, golden["gain"])).keep_classes([0])
    for made in (net, net.fuse()):
        assert_close(eager(made)(pixels())[0], golden["raw"])


@pytest.mark.parametrize("scale", [TINY, Scale(2 / 3, 1 / 8), Scale(1 / 3, 1 / 8, depthwise=True)])
@pytest.mark.parametrize("rename", [dict, by_megvii])
def test_a_published_checkpoint_gives_the_network_it_came_from(scale: Scale, rename: type) -> None:
    trained = network(scale)
    loaded = YOLOX.from_checkpoint(rename(trained.state_dict()))
    torch.testing.assert_close(run(loaded, images()), run(trained, images()), rtol=0, atol=0)


def test_the_pyramid_pooling_of_megvii_is_not_taken_for_a_csp_layer() -> None:
    names = by_megvii(network().state_dict())
    assert {"backbone.backbone.dark5.1.conv2.conv.weight", "backbone.backbone.dark5.2.m.0.conv2.conv.weight"} <= set(
        names
    )


def test_a_checkpoint_without_step_counters_loads() -> None:
    state = {name: tensor for name, tensor in network().state_dict().items() if "num_batches" not in name}
    YOLOX.from_checkpoint(state)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda state: state.pop("neck.out_convs.0.conv.weight"), "1 tensors missing, first neck.out_convs.0.conv"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 tensors unexpected, first extra"),
        (
            lambda state: state.update({"neck.out_convs.0.bn.bias": torch.zeros(7)}),
            "neck.out_convs.0.bn.bias is [7] instead of [32]",
        ),
        (lambda state: state.pop("backbone.stem.conv.conv.weight"), "they lack 'backbone.stem.conv.conv.weight'"),
        (lambda state: state.clear(), "they lack"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_name_of_the_tensor(spoil: object, named: str) -> None:
    state = network().state_dict()
    spoil(state)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=re.escape(named)):
        YOLOX.from_checkpoint(state)


@pytest.mark.parametrize("depthwise", [False, True])
def test_folding_batch_norm_and_stem_does_not_change_the_output(depthwise: bool) -> None:
    net = network(Scale(1 / 3, 1 / 8, depthwise))
    before = run(net, images())
    fused = net.fuse()
    assert not any("bn." in name or "stem.conv.conv" in name for name in fused.state_dict())
    torch.testing.assert_close(run(fused, images()), before, rtol=1e-5, atol=1e-5)


def test_fusing_twice_is_fusing_once() -> None:
    once = network().fuse()
    expected = run(once, images())
    torch.testing.assert_close(run(once.fuse(), images()), expected, rtol=0, atol=0)


@pytest.mark.parametrize(("height", "width", "batch"), [(32, 32, 1), (64, 96, 3), (160, 32, 2)])
def test_any_batch_and_any_multiple_of_32_goes_through(height: int, width: int, batch: int) -> None:
    anchors = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert run(network(), images(height, width, batch)).shape == (batch, anchors, 5 + 3)


def test_an_image_gets_the_same_output_alone_and_in_a_batch() -> None:
    pixels = images(batch=3)
    together = run(network(), pixels)
    for row in range(3):
        torch.testing.assert_close(run(network(), pixels[row : row + 1])[0], together[row], rtol=1e-4, atol=1e-5)


def test_keeping_one_class_changes_nothing_but_drops_the_others() -> None:
    expected = run(network(), images())[..., [0, 1, 2, 3, 4, 5 + 1]]
    kept = run(network().keep_classes([1]), images())
    torch.testing.assert_close(kept, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("scale", [TINY, Scale(2 / 3, 1 / 8), Scale(1 / 3, 1 / 8, depthwise=True)])
def test_an_exported_graph_gives_the_network_it_came_from(scale: Scale) -> None:
    trained = network(scale)
    expected = run(trained, images())
    loaded = YOLOX.from_onnx(exported(fuse(trained), EXAMPLE, KEPT))
    torch.testing.assert_close(run(loaded, images()), expected, rtol=1e-5, atol=1e-5)


def test_a_graph_with_a_convolution_too_few_is_refused() -> None:
    graph = exported(fuse(network()), EXAMPLE, KEPT)
    with pytest.raises(CheckpointError, match="82 convolutions"):
        YOLOX.from_onnx(dataclasses.replace(graph, nodes=graph.nodes[1:]))


def test_a_graph_whose_operators_come_in_another_order_is_refused() -> None:
    graph = exported(fuse(network()), EXAMPLE, KEPT)
    with pytest.raises(CheckpointError, match=r"it has bbox_head\S+ where the network has bbox_head"):
        YOLOX.from_onnx(dataclasses.replace(graph, nodes=(*graph.nodes[:-2], graph.nodes[-1], graph.nodes[-2])))


def test_the_graph_of_another_network_is_refused() -> None:
    graph = exported(fuse(network()), EXAMPLE)
    with pytest.raises(CheckpointError, match="not a YOLOX"):
        YOLOX.from_onnx(graph)
