from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.errors import CheckpointError
from models.formats import pth
from models.pose.hourglass import StackedHourglass
from models.pose.hourglass52 import Hourglass52
from models.pose.published import hourglass52_names
from models.residual import fold
from tests.oracles.filled import fill, filled
from tests.oracles.heatmap_networks import example

GOLDEN = Path(__file__).parent / "golden" / "heatmaps.npz"
LEVELS = ("low2.low2.low2.", "low2.low2.", "low2.", "")
"""Where princeton-vl's recursion keeps the blocks of each resolution, the coarsest first."""

TENSORS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def by_princeton(name: str) -> str:
    """Our name, which is bearpaw's, as princeton-vl writes it."""
    name = re.sub(r"^conv1\.", "pre.0.conv.", re.sub(r"^bn1\.", "pre.0.bn.", name))
    if re.match(r"(layer|hg|res)", name):
        name = re.sub(r"\.conv([123])\.", r".conv\1.conv.", name).replace(".downsample.0.", ".skip_layer.conv.")
    for ours, theirs in (("layer1.0", "pre.1"), ("layer2.0", "pre.3"), ("layer3.0", "pre.4")):
        name = re.sub(f"^{ours}", theirs, name)
    if found := re.match(r"hg\.(\d)\.hg\.(\d)\.(\d)\.0\.(.*)", name):
        stack, level, block, rest = found.groups()
        part = ("up1", "low1", "low3", "low2")[int(block)]
        return f"hgs.{stack}.0.{LEVELS[int(level)]}{part}.{rest}"
    for ours, theirs in (
        (r"^res\.(\d)\.0", r"features.\1.0"),
        (r"^fc\.(\d)\.0", r"features.\1.1.conv"),
        (r"^fc\.(\d)\.1", r"features.\1.1.bn"),
        (r"^score\.(\d)", r"outs.\1.conv"),
        (r"^fc_\.(\d)", r"merge_features.\1.conv.conv"),
        (r"^score_\.(\d)", r"merge_preds.\1.conv.conv"),
    ):
        name = re.sub(ours, theirs, name)
    return name


def by_openmmlab(name: str) -> str:
    return ("head." if name.startswith("multi_final_layers") else "backbone.") + name


def heatmaps(network: nn.Module, size: tuple[int, int]) -> Tensor:
    with torch.inference_mode():
        return network(example(*size))


def assert_golden(found: Tensor, name: str) -> None:
    """Within 1e-4 of the largest value, which the residual sums of a stack let grow."""
    golden = np.load(GOLDEN)[name]
    np.testing.assert_allclose(found, golden, rtol=0, atol=1e-4 * max(1, np.abs(golden).max()))


@pytest.mark.parametrize(("stacks", "millions"), [(1, 3.59), (2, 6.73), (8, 25.59)])
def test_stacks_have_another_number_of_parameters_than_published(stacks: int, millions: float) -> None:
    with torch.device("meta"):
        network = StackedHourglass(stacks)
    assert round(sum(tensor.numel() for tensor in network.parameters()) / 1e6, 2) == millions


def test_hourglass52_has_another_number_of_parameters_than_published() -> None:
    with torch.device("meta"):
        network = Hourglass52()
    unused = 2 * (256 * 256 * 9 + 2 * 256)  # the block that would lead to a second stack
    assert round((sum(tensor.numel() for tensor in network.parameters()) + unused) / 1e6, 2) == 94.85


def test_the_tensors_of_hourglass52_have_other_names_than_published() -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in Hourglass52().state_dict().items()}
    low2 = "hourglass_modules.0." + "low2." * 4
    expected = {
        "stem.0.conv.weight": (128, 3, 7, 7),
        "stem.1.0.downsample.0.weight": (256, 128, 1, 1),
        "hourglass_modules.0.up1.1.conv2.weight": (256, 256, 3, 3),
        "hourglass_modules.0.low2.low1.0.downsample.0.weight": (384, 256, 1, 1),
        "hourglass_modules.0.low2.low3.1.downsample.1.weight": (256,),
        f"{low2}low2.3.conv2.weight": (512, 512, 3, 3),
        f"{low2}low3.1.conv1.weight": (384, 512, 3, 3),
        "out_convs.0.bn.running_var": (256,),
        "multi_final_layers.0.bias": (17,),
    }
    assert shapes | expected == shapes
    assert {name.split(".")[0] for name in shapes} == {"stem", "hourglass_modules", "out_convs", "multi_final_layers"}
    assert not any("hourglass_modules.0.low3.0.downsample" in name for name in shapes)


def test_the_tensors_of_a_stack_have_other_names_than_published() -> None:
    with torch.device("meta"):
        names = StackedHourglass(2).state_dict().keys()
    blocks = {f"{at}.0" for at in ("layer1", "layer2", "layer3", "res.0", "res.1")}
    blocks |= {f"hg.{stack}.hg.{level}.{block}.0" for stack in (0, 1) for level in range(4) for block in range(3)}
    blocks |= {f"hg.{stack}.hg.0.3.0" for stack in (0, 1)}
    norms = {f"{block}.bn{i}.{tensor}" for block in blocks for i in (1, 2, 3) for tensor in TENSORS}
    norms |= {f"{norm}.{tensor}" for norm in ("bn1", "fc.0.1", "fc.1.1") for tensor in TENSORS}
    convolutions = {f"{block}.conv{i}" for block in blocks for i in (1, 2, 3)}
    convolutions |= {"conv1", "layer1.0.downsample.0", "layer2.0.downsample.0", "fc_.0", "score_.0"}
    convolutions |= {"score.0", "score.1", "fc.0.0", "fc.1.0"}
    assert names == norms | {f"{name}.{tensor}" for name in convolutions for tensor in ("weight", "bias")}
    assert len(names) == 684


def test_hourglass52_does_not_answer_as_openmmlabs_own_code() -> None:
    network = fill(Hourglass52(), by_openmmlab)
    found = heatmaps(network, (128, 128))
    assert found.shape == (1, 17, 32, 32)
    assert_golden(found[..., ::2, ::2], "openmmlab")
    assert_golden(heatmaps(fold(network), (128, 128))[..., ::2, ::2], "openmmlab")


def test_a_stack_does_not_answer_as_bearpaws_own_code() -> None:
    network = fill(StackedHourglass(2))
    assert_golden(heatmaps(network, (128, 64)), "bearpaw")
    assert_golden(heatmaps(fold(network), (128, 64)), "bearpaw")


@pytest.mark.parametrize("prefix", ["", "model.module."])
def test_a_stack_of_princeton_does_not_answer_as_its_own_code(prefix: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in StackedHourglass(2, stem=128).state_dict().items()}
    state = {by_princeton(name): filled(by_princeton(name), shape) for name, shape in shapes.items()}
    # Theirs keep a convolution for every shortcut, the plain ones too.
    state |= {
        name.replace("conv3", "skip_layer"): filled(name.replace("conv3", "skip_layer"), (len(tensor), 1, 1, 1))
        for name, tensor in state.items()
        if name.endswith("conv3.conv.weight") and name.replace("conv3", "skip_layer") not in state
    }
    torch.save({"state_dict": {prefix + name: tensor for name, tensor in state.items()}}, tmp_path / "weights.pth")
    network = StackedHourglass(2, stem=128).load(pth.read(tmp_path / "weights.pth")).eval()
    assert_golden(heatmaps(network, (128, 64)), "princeton")


def test_a_tensor_of_hourglass52_is_lost_on_the_way_from_its_published_name() -> None:
    with torch.device("meta"):
        own = Hourglass52().state_dict()
    published = {by_openmmlab(name): tensor for name, tensor in own.items()}
    published["backbone.inters.0.conv1.weight"] = torch.zeros(1)  # towards a second stack, which nothing reads
    assert hourglass52_names(published).keys() == own.keys()


def test_weights_of_more_stacks_are_taken() -> None:
    with torch.device("meta"):
        state = StackedHourglass(8).state_dict()
    with pytest.raises(CheckpointError, match=r"do not fit StackedHourglass: .* tensors unexpected"):
        StackedHourglass(2).load(state)


def test_weights_of_the_other_hourglass_are_taken() -> None:
    with torch.device("meta"):
        stacked, single = StackedHourglass(1).state_dict(), Hourglass52().state_dict()
    with pytest.raises(CheckpointError, match="do not fit Hourglass52"):
        Hourglass52().load(stacked)
    with pytest.raises(CheckpointError, match="do not fit StackedHourglass"):
        StackedHourglass(1).load(single)
