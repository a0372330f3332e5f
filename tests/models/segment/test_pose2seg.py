"""The networks of Pose2Seg: their size, the names of the released file, and the outputs of the original."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from models.detect.yolox import SCALES, YOLOX
from models.errors import CheckpointError
from models.residual import fold
from models.segment.pose2seg import FeaturesLast, FromAligned, Pose2Seg
from models.segment.pose2seg_task import load_pose2seg
from tests.models.compiling import weights_of
from tests.oracles.filled import fill
from tests.oracles.pose2seg_golden import GOLDEN, tensor


@pytest.fixture(scope="module")
def network() -> Pose2Seg:
    return fill(Pose2Seg())


def convolution(
    name: str, outputs: int, inputs: int, kernel: int, *, bias: bool = True
) -> Iterator[tuple[str, list[int]]]:
    yield f"{name}.weight", [outputs, inputs, kernel, kernel]
    if bias:
        yield f"{name}.bias", [outputs]


def norm(name: str, channels: int) -> Iterator[tuple[str, list[int]]]:
    for kind in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{kind}", [channels]
    yield f"{name}.num_batches_tracked", []


def published() -> dict[str, list[int]]:
    """Names and shapes of the released file, after its segment branch was renamed."""
    found = [*convolution("backbone.conv1", 64, 3, 7, bias=False), *norm("backbone.bn1", 64)]
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3), 1):
        inner = 32 * 2**stage
        for i in range(blocks):
            block = f"backbone.layer{stage}.{i}"
            layers = [(1, inner, inputs, 1), (2, inner, inner, 3), (3, 4 * inner, inner, 1), (4, 4 * inner, inputs, 1)]
            for number, outputs, of, kernel in layers[: 4 if i == 0 else 3]:
                found += convolution(f"{block}.conv{number}", outputs, of, kernel, bias=False)
                found += norm(f"{block}.bn{number}", outputs)
            inputs = 4 * inner
        found += convolution(f"backbone.fpn_c{stage}p{stage}", 256, inputs, 1)
        found += convolution(f"backbone.fpn_p{stage}", 256, 256, 3)
    found += [*convolution("segnet.conv1", 256, 311, 7), *norm("segnet.bn1", 256)]
    units = [("layer1.0", 256, 256)] + [(f"layer1.{i}", 1024, 256) for i in range(1, 10)] + [("decoder1.0", 1024, 128)]
    for unit, inputs, inner in units:
        for number, outputs, of, kernel in ((1, inner, inputs, 1), (2, inner, inner, 3), (3, 4 * inner, inner, 1)):
            found += convolution(f"segnet.{unit}.conv{number}", outputs, of, kernel)
            found += norm(f"segnet.{unit}.bn{number}", outputs)
        if inputs != 4 * inner:
            found += convolution(f"segnet.{unit}.downsample.0", 4 * inner, inputs, 1)
            found += norm(f"segnet.{unit}.downsample.1", 4 * inner)
    return dict([*found, *convolution("segnet.pred_small", 2, 512, 1)])


def test_the_names_or_shapes_of_the_released_file_have_no_place(network: Pose2Seg) -> None:
    assert {name: list(value.shape) for name, value in network.state_dict().items()} == published()
    assert len(published()) == 588


def test_the_network_has_another_size_than_the_published_one(network: Pose2Seg) -> None:
    millions = [sum(value.numel() for value in part.parameters()) / 1e6 for part in (network.backbone, network.segnet)]
    assert np.round(millions, 2).tolist() == [26.85, 16.03]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda network: network.backbone(tensor("image", 1, 3, 64, 96))[:, ::16], "pyramid"),
        (lambda network: network.segnet(tensor("aligned", 1, 311, 64, 64))[:, :, ::3, ::3], "logits"),
    ],
)
def test_the_outputs_are_not_the_originals(
    network: Pose2Seg, run: Callable[[Pose2Seg], torch.Tensor], expected: str
) -> None:
    with torch.inference_mode(), np.load(GOLDEN) as golden:
        output, truth = run(network).numpy(), golden[expected]
    assert output.shape == truth.shape
    assert np.abs(output - truth).max() < 1e-4 * np.abs(truth).max()


def test_the_parts_that_are_compiled_give_something_else(network: Pose2Seg) -> None:
    image, aligned = tensor("image", 1, 3, 32, 64), tensor("aligned", 2, 311, 16, 16)
    with torch.inference_mode():
        features = FeaturesLast(network.backbone)(image)
        assert features.shape == (1, 8, 16, 256)
        assert torch.equal(features.permute(0, 3, 1, 2), network.backbone(image))
        logits = FromAligned(network.segnet)(aligned[:, :256].permute(0, 2, 3, 1), aligned[:, 256:])
        assert logits.shape == (2, 2, 16, 16)
        torch.testing.assert_close(logits, network.segnet(aligned), rtol=1e-4, atol=1e-4)


def test_folding_leaves_a_norm_or_changes_the_answer(network: Pose2Seg) -> None:
    folded = fold(copy.deepcopy(network))
    assert not [part for part in folded.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    image, aligned = tensor("image", 1, 3, 64, 96), tensor("aligned", 1, 311, 32, 32)
    with torch.inference_mode():
        for part, x in (("backbone", image), ("segnet", aligned)):
            expected, found = (of.get_submodule(part)(x) for of in (network, folded))
            assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_the_released_file_is_not_read(network: Pose2Seg, tmp_path: Path) -> None:
    """A flat dictionary in the format of PyTorch before 1.6; the segment branch has a longer name there."""
    state = {name.replace("segnet.", "pose2seg.seg_branch."): value for name, value in network.state_dict().items()}
    path = tmp_path / "pose2seg_release.pkl"
    torch.save(state, path, _use_new_zipfile_serialization=False)
    assert 171e6 < path.stat().st_size < 174e6
    loaded = load_pose2seg(weights_of("pose2seg", path)).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in network.state_dict().items())
    with path.open("r+b") as file:
        file.truncate(100_000_000)
    with pytest.raises(CheckpointError, match=r"pose2seg_release\.pkl is not a whole PyTorch checkpoint"):
        load_pose2seg(weights_of("pose2seg", path))


def test_the_weights_of_another_network_are_loaded_in_part(tmp_path: Path) -> None:
    torch.save(YOLOX(SCALES["nano"]).state_dict(), tmp_path / "boxes.pkl")
    with pytest.raises(CheckpointError, match="do not fit Pose2Seg"):
        load_pose2seg(weights_of("pose2seg", tmp_path / "boxes.pkl"))


def test_a_backbone_without_its_segment_network_is_taken(network: Pose2Seg) -> None:
    state = {name: value for name, value in network.state_dict().items() if name.startswith("backbone.")}
    with pytest.raises(CheckpointError, match=r"missing, first segnet\.conv1\.weight"):
        Pose2Seg.from_checkpoint(state)
