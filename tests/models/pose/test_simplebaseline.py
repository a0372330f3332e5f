from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.errors import CheckpointError
from models.formats import pth
from models.pose.published import simplebaseline_names
from models.pose.simplebaseline import ATTENTIONS, BLOCKS, Attention, SimpleBaseline
from models.residual import fold
from tests.oracles.filled import fill
from tests.oracles.heatmap_networks import example

GOLDEN = Path(__file__).parent / "golden" / "heatmaps.npz"


def published_shapes(depth: int = 50, keypoints: int = 17) -> dict[str, tuple[int, ...]]:
    """The tensors of `pose_resnet_50_256x192.pth.tar` and its sisters, by rule: names and shapes."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7)} | norm("bn1", 64)
    inputs = 64
    for stage, (blocks, inside) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512), strict=True), 1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            shapes |= {f"{at}.conv1.weight": (inside, inputs, 1, 1)} | norm(f"{at}.bn1", inside)
            shapes |= {f"{at}.conv2.weight": (inside, inside, 3, 3)} | norm(f"{at}.bn2", inside)
            shapes |= {f"{at}.conv3.weight": (4 * inside, inside, 1, 1)} | norm(f"{at}.bn3", 4 * inside)
            if block == 0:
                shapes |= {f"{at}.downsample.0.weight": (4 * inside, inputs, 1, 1)}
                shapes |= norm(f"{at}.downsample.1", 4 * inside)
            inputs = 4 * inside
    for layer, channels in ((0, 2048), (3, 256), (6, 256)):
        shapes |= {f"deconv_layers.{layer}.weight": (channels, 256, 4, 4)} | norm(f"deconv_layers.{layer + 1}", 256)
    return shapes | {"final_layer.weight": (keypoints, 256, 1, 1), "final_layer.bias": (keypoints,)}


def norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    tensors = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{tensor}": (channels,) for tensor in tensors} | {f"{name}.num_batches_tracked": ()}


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def by_openmmlab(name: str) -> str:
    return ("head." if re.match("deconv|final", name) else "backbone.") + name


def by_zhou(name: str) -> str:
    """As the 3D variant calls its heads."""
    return re.sub("^final_layer", "hm", re.sub("^depth_layer", "depth", name))


@pytest.fixture(scope="module")
def network() -> SimpleBaseline:
    return fill(SimpleBaseline())


def small(attention: Attention = "none", *, depths: bool = False) -> SimpleBaseline:
    torch.manual_seed(0)
    return SimpleBaseline(50, 17, attention, depths=depths).eval()


def heatmaps(network: SimpleBaseline, size: tuple[int, int] = (64, 96)) -> Tensor:
    with torch.inference_mode():
        return network(example(*size))[0]


@pytest.mark.parametrize(("depth", "millions", "entries"), [(50, 34.0, 338), (101, 53.0, 644), (152, 68.6, 950)])
def test_a_depth_has_another_number_of_parameters_than_published(depth: int, millions: float, entries: int) -> None:
    with torch.device("meta"):
        network = SimpleBaseline(depth)
    assert round(sum(tensor.numel() for tensor in network.parameters()) / 1e6, 1) == millions
    assert shapes_of(network) == published_shapes(depth)
    assert len(network.state_dict()) == entries


def test_the_heat_maps_are_not_those_of_the_authors_own_code(network: SimpleBaseline) -> None:
    golden = np.load(GOLDEN)["microsoft"]
    np.testing.assert_allclose(heatmaps(network), golden, rtol=0, atol=1e-4)
    np.testing.assert_allclose(heatmaps(fold(copy.deepcopy(network))), golden, rtol=0, atol=1e-4)


def test_the_trunk_is_not_torchvisions_resnet(network: SimpleBaseline) -> None:
    with torch.inference_mode():
        x = network.maxpool(network.relu(network.bn1(network.conv1(example(64, 96)))))
        x = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    np.testing.assert_allclose(x[:, ::8], np.load(GOLDEN)["torchvision"], rtol=0, atol=1e-4)


def test_folding_leaves_a_norm_or_changes_the_answer() -> None:
    network = small("both", depths=True)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_var, 0.5, 1.5)
            torch.nn.init.normal_(part.running_mean)
    with torch.inference_mode():
        expected = network(example(64, 64))
        folded = fold(network)(example(64, 64))
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in network.modules())
    for found, wanted in zip(folded, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_attention_changes_the_shape_of_the_heat_maps(attention: Attention) -> None:
    assert heatmaps(small(attention), (64, 96)).shape == (1, 17, 16, 24)


def test_a_part_is_weighed_by_the_attention_of_another() -> None:
    """The folded form against the one of the paper: features times attention, then the part's own convolution."""
    part = small("part").part
    features = torch.randn(2, 256, 8, 6, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        found = part(features)
        for keypoint in range(17):
            unary = torch.conv2d(features, part.attention.unary.weight[keypoint, None], padding=1)
            weight = unary
            for _ in range(3):
                weight = torch.sigmoid(part.attention.pairwise[keypoint] * weight + unary)
            expected = torch.conv2d(features * weight, part.parts.weight[keypoint, None])
            torch.testing.assert_close(found[:, keypoint, None], expected, rtol=1e-4, atol=1e-5)


def test_a_resolution_takes_no_part_in_the_holistic_attention() -> None:
    network = small("holistic")
    levels = [torch.zeros(1, 256, 2 * scale, 3 * scale) for scale in (1, 2, 4)]
    for level in range(3):
        alone = [features if i != level else torch.ones_like(features) for i, features in enumerate(levels)]
        with torch.inference_mode():
            assert network.holistic(alone).abs().min() > 0


@pytest.mark.parametrize(("layout", "depths"), [(by_openmmlab, False), (str, False), (by_zhou, True)])
def test_a_tensor_is_lost_on_the_way_from_its_published_name(layout: Callable[[str], str], depths: bool) -> None:
    with torch.device("meta"):
        own = SimpleBaseline(50, depths=depths).state_dict()
    published = {layout(name): tensor for name, tensor in own.items()}
    assert list(simplebaseline_names(published)) == list(own)


def test_a_published_file_is_read_in_part(tmp_path: Path, network: SimpleBaseline) -> None:
    state = {by_openmmlab(name): tensor for name, tensor in network.state_dict().items()}
    torch.save({"state_dict": state, "meta": {"epoch": 210}}, tmp_path / "weights.pth")
    loaded = SimpleBaseline().load(pth.read(tmp_path / "weights.pth")).eval()
    torch.testing.assert_close(heatmaps(loaded), heatmaps(network), rtol=0, atol=0)


def test_weights_of_another_depth_are_taken() -> None:
    with torch.device("meta"):
        state = SimpleBaseline(101).state_dict()
    with pytest.raises(CheckpointError, match=r"do not fit SimpleBaseline: 306 tensors unexpected, first layer3\.6"):
        SimpleBaseline(50).load(state)


def test_weights_of_another_skeleton_are_taken() -> None:
    with torch.device("meta"):
        state = SimpleBaseline(50, keypoints=16).state_dict()
    with pytest.raises(CheckpointError, match=r"find 16 keypoints, this model 17: another skeleton"):
        SimpleBaseline(50).load(state)


def test_weights_of_another_network_are_taken() -> None:
    with pytest.raises(CheckpointError, match="do not fit SimpleBaseline"):
        SimpleBaseline(50).load({"backbone.stem.weight": torch.zeros(1)})
