"""YOLOv3's networks: their size, their names, and weights in each published layout."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.detect.yolov3 import VARIANTS, YOLOV3
from models.detect.yolov3_task import decode
from models.errors import CheckpointError
from models.formats import darknet
from tests.models.graphs import scrambled
from tests.oracles.darknet_yolov3 import example, values_of
from tests.oracles.filled import fill

GOLDEN = Path(__file__).parent / "golden" / "yolov3.npz"
TINY = VARIANTS["tiny"]


def network(classes: int = 3) -> YOLOV3:
    torch.manual_seed(0)
    return scrambled(YOLOV3(TINY, classes))


def images(height: int = 64, width: int = 96, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


def run(net: YOLOV3, pixels: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(pixels)


def published_shapes(classes: int = 80) -> dict[str, tuple[int, ...]]:
    """The tensors of OpenMMLab's checkpoints, from the tables of the paper."""
    convs = {"backbone.conv1": (3, 32, 3)}
    for stage, depth in enumerate((1, 2, 8, 8, 4), 1):
        width = 32 * 2**stage
        convs[f"backbone.conv_res_block{stage}.conv"] = (width // 2, width, 3)
        for block in range(depth):
            convs[f"backbone.conv_res_block{stage}.res{block}.conv1"] = (width, width // 2, 1)
            convs[f"backbone.conv_res_block{stage}.res{block}.conv2"] = (width // 2, width, 3)
    shapes = {}
    for level, (width, inputs) in enumerate(((512, 1024), (256, 768), (128, 384))):
        for number in range(1, 6):
            kernel, outputs = ((1, width), (3, 2 * width))[(number + 1) % 2]
            convs[f"neck.detect{level + 1}.conv{number}"] = (
                inputs if number == 1 else 3 * width - outputs,
                outputs,
                kernel,
            )
        if level:
            convs[f"neck.conv{level}"] = (2 * width, width, 1)
        convs[f"bbox_head.convs_bridge.{level}"] = (width, 2 * width, 3)
        shapes[f"bbox_head.convs_pred.{level}.weight"] = (3 * (5 + classes), 2 * width, 1, 1)
        shapes[f"bbox_head.convs_pred.{level}.bias"] = (3 * (5 + classes),)
    for name, (inputs, outputs, kernel) in convs.items():
        shapes[f"{name}.conv.weight"] = (outputs, inputs, kernel, kernel)
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{tensor}"] = (outputs,)
        shapes[f"{name}.bn.num_batches_tracked"] = ()
    return shapes


def test_a_tensor_has_another_name_or_shape_than_openmmlab_published() -> None:
    with torch.device("meta"):
        state = YOLOV3(VARIANTS["darknet53"]).state_dict()
    assert len(state) == 438
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == published_shapes()


@pytest.mark.parametrize(
    ("name", "values", "parameters"), [("darknet53", 62001757, 61949149), ("tiny", 8858734, 8852366)]
)
def test_a_network_has_another_size_than_the_published_file(name: str, values: int, parameters: int) -> None:
    with torch.device("meta"):
        net = YOLOV3(VARIANTS[name])
    assert darknet.count(net.in_darknet_order()) == values
    assert sum(tensor.numel() for tensor in net.parameters()) == parameters


@pytest.mark.parametrize("name", ["darknet53", "tiny"])
def test_a_layer_is_wired_read_or_decoded_otherwise_than_by_opencv(name: str) -> None:
    variant, size = VARIANTS[name], example().shape[:2]
    net = fill(YOLOV3(variant))
    pixels = torch.from_numpy(example()[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
    raw = run(net, pixels)[0].numpy()
    golden = np.load(GOLDEN)[name]
    assert raw.shape == (len(golden), 85)
    objectness, person = (1 / (1 + np.exp(-raw[:, i])) for i in (4, 5))
    np.testing.assert_allclose(objectness, golden[:, 4], rtol=0, atol=1e-4)
    np.testing.assert_allclose(person * objectness, golden[:, 5], rtol=0, atol=1e-4)
    xyxy = decode(raw, np.arange(len(raw)), variant, size) / np.tile(size[::-1], 2)
    np.testing.assert_allclose((xyxy[:, :2] + xyxy[:, 2:]) / 2, golden[:, :2], rtol=0, atol=1e-4)
    # Random weights make sizes of thousands of images too, beyond the bound of ours; and their logarithms, which reach
    # 10, are not exact to 1e-4 in float32.
    sane = golden[:, 2:4].max(1) < 10
    assert sane.mean() > 0.7
    np.testing.assert_allclose((xyxy[:, 2:] - xyxy[:, :2])[sane], golden[sane, 2:4], rtol=5e-4, atol=1e-4)


@pytest.mark.parametrize("classes", [1, 3, 80])
def test_a_darknet_file_gives_another_network_than_it_came_from(classes: int) -> None:
    trained = network(classes)
    loaded = YOLOV3.from_darknet(TINY, values_of(trained))
    torch.testing.assert_close(run(loaded, images()), run(trained, images()), rtol=0, atol=0)


def test_a_published_checkpoint_gives_another_network_than_it_came_from() -> None:
    trained = network()
    loaded = YOLOV3.from_checkpoint(TINY, trained.state_dict())
    torch.testing.assert_close(run(loaded, images()), run(trained, images()), rtol=0, atol=0)


@pytest.mark.parametrize("change", [-1, 1, -400000])
def test_a_darknet_file_of_another_network_is_loaded_by_halves(change: int) -> None:
    values = np.resize(values_of(network(1)), darknet.count(network(1).in_darknet_order()) + change)
    with pytest.raises(CheckpointError, match=f"do not fit this YOLOv3: {len(values)} values"):
        YOLOV3.from_darknet(TINY, values)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda state: state.pop("neck.conv1.conv.weight"), "1 tensors missing, first neck.conv1.conv.weight"),
        (lambda state: state.update(extra=torch.zeros(1)), "1 tensors unexpected, first extra"),
        (lambda state: state.clear(), "they lack bbox_head.convs_pred.0.bias"),
        (
            lambda state: state.update({"bbox_head.convs_pred.0.bias": torch.zeros(9)}),
            "they predict 9 values of a cell",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_the_name_of_the_tensor(spoil: object, named: str) -> None:
    state = network().state_dict()
    spoil(state)  # type: ignore[operator]
    with pytest.raises(CheckpointError, match=re.escape(named)):
        YOLOV3.from_checkpoint(TINY, state)


def test_folding_batch_norm_changes_the_output() -> None:
    net = network()
    before = run(net, images())
    fused = net.fuse()
    assert not any("bn." in name for name in fused.state_dict())
    torch.testing.assert_close(run(fused, images()), before, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "batch"), [(32, 32, 1), (64, 96, 3), (160, 32, 2)])
def test_a_batch_or_a_multiple_of_32_does_not_go_through(height: int, width: int, batch: int) -> None:
    anchors = 3 * sum((height // stride) * (width // stride) for stride in (16, 32))
    assert run(network(), images(height, width, batch)).shape == (batch, anchors, 5 + 3)


def test_keeping_one_class_changes_the_others_predictions() -> None:
    expected = run(network(), images())[..., [0, 1, 2, 3, 4, 5 + 1]]
    kept = run(network().keep_classes([1]), images())
    torch.testing.assert_close(kept, expected, rtol=1e-5, atol=1e-5)
