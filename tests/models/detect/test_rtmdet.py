"""RTMDet's network: its size, its names, and its agreement with OpenMMLab's own."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.cspnext import Scale
from models.detect.rtmdet import SCALES, RTMDet
from models.errors import CheckpointError
from tests.models.golden import assert_close, eager, pixels, published_state
from tests.models.graphs import scrambled
from tests.oracles import openmmlab

GOLDEN = Path(__file__).parent / "golden"
TINY = Scale(1 / 6, 1 / 8)
CLASSES = {"nano": 1}
"""Of the oracle's networks, where they are not 80."""


def network(scale: Scale = TINY, classes: int = 3) -> RTMDet:
    torch.manual_seed(0)
    return scrambled(RTMDet(scale, classes))


def images(height: int = 64, width: int = 96, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def run(net: RTMDet, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(pixels)


@pytest.mark.parametrize(("size", "classes", "millions"), [("nano", 1, 0.99), ("tiny", 80, 4.90), ("s", 80, 8.89)])
def test_a_size_has_another_number_of_parameters_than_published(size: str, classes: int, millions: float) -> None:
    with torch.device("meta"):
        parameters = sum(tensor.numel() for tensor in RTMDet(SCALES[size], classes).parameters())
    assert round(parameters / 1e6, 2) == millions


def test_the_m_has_another_number_of_parameters_than_published() -> None:
    with torch.device("meta"):
        assert round(sum(tensor.numel() for tensor in RTMDet(SCALES["m"]).parameters()) / 1e6, 1) == 24.7


def test_a_tensor_is_named_or_shaped_otherwise_than_published() -> None:
    for size in ("nano", "tiny", "m"):
        with torch.device("meta"):
            state = RTMDet(SCALES[size], CLASSES.get(size, 80)).state_dict()
        assert openmmlab.digest(state) == str(np.load(GOLDEN / f"rtmdet_{size}.npz")["names"])
    assert {
        "backbone.stage4.1.conv2.conv.weight",
        "backbone.stage1.1.attention.fc.bias",
        "neck.out_convs.2.conv.weight",
        "bbox_head.cls_convs.2.1.bn.running_var",
        "bbox_head.rtm_reg.0.bias",
    } <= state.keys()


@pytest.mark.parametrize("size", ["nano", "tiny", "m"])
def test_the_outputs_are_not_those_of_openmmlab(size: str) -> None:
    golden = np.load(GOLDEN / f"rtmdet_{size}.npz")
    net = RTMDet(SCALES[size], CLASSES.get(size, 80))
    net = RTMDet.from_checkpoint(published_state(net, golden["gain"])).keep_classes([0])
    (raw,) = eager(net)(pixels())
    assert_close(raw, golden["raw"])
    (raw,) = eager(net.fuse())(pixels())
    np.testing.assert_allclose(raw, golden["raw"], rtol=1e-5, atol=2e-4)


@pytest.mark.parametrize("scale", [TINY, Scale(2 / 3, 1 / 8), Scale(1 / 3, 1 / 8, depthwise=True)])
def test_a_checkpoint_of_some_size_gives_another_network(scale: Scale) -> None:
    trained = network(scale)
    loaded = RTMDet.from_checkpoint(trained.state_dict())
    torch.testing.assert_close(run(loaded, images()), run(trained, images()), rtol=0, atol=0)


def test_a_large_network_loses_the_exponential_on_the_way() -> None:
    assert RTMDet.from_checkpoint(RTMDet(Scale(1 / 6, 0.75)).state_dict()).bbox_head.exponential
    assert not RTMDet.from_checkpoint(RTMDet(Scale(1 / 6, 0.5)).state_dict()).bbox_head.exponential


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda state: state.pop("neck.out_convs.0.conv.weight"), "1 tensors missing, first neck.out_convs.0.conv"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 tensors unexpected, first extra"),
        (lambda state: state.pop("bbox_head.rtm_cls.0.bias"), "not of an RTMDet: they lack 'bbox_head.rtm_cls.0.bias'"),
        (lambda state: state.clear(), "not of an RTMDet"),
    ],
)
def test_weights_that_do_not_fit_are_taken(spoil: object, named: str) -> None:
    state = network().state_dict()
    spoil(state)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=re.escape(named)):
        RTMDet.from_checkpoint(state)


@pytest.mark.parametrize("scale", [TINY, Scale(1 / 6, 1 / 8, depthwise=True)])
def test_folding_changes_what_strides_with_shared_convolutions_say(scale: Scale) -> None:
    net = network(scale)
    before = run(net, images())
    fused = net.fuse()
    assert not any(".bn." in name for name in fused.state_dict())
    torch.testing.assert_close(run(fused, images()), before, rtol=1e-5, atol=1e-4)


def test_keeping_one_class_changes_the_others() -> None:
    expected = run(network(), images())[..., [0, 1, 2, 3, 4 + 1]]
    torch.testing.assert_close(run(network().keep_classes([1]), images()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "batch"), [(32, 32, 1), (64, 96, 3), (160, 32, 2)])
def test_an_input_of_another_size_or_batch_is_refused(height: int, width: int, batch: int) -> None:
    anchors = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert run(network(), images(height, width, batch)).shape == (batch, anchors, 4 + 3)
