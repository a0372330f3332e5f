"""FCN-8 on VGG16: its size, the names and the outputs of others' networks, and what its loader refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from models.detect.yolox import SCALES, YOLOX
from models.errors import CheckpointError
from models.segment.fcn8 import FCN8, Layout, from_torchvision
from models.segment.fcn8_task import load_fcn8
from models.serving import Weights
from models.zoo import ModelEntry, load_zoo
from tests.oracles.fcn8_golden import CHANNELS, CLASSES, GOLDEN, HIDDEN, picture
from tests.oracles.filled import fill, filled

FEATURES = {
    "conv1_1": 0, "conv1_2": 2, "conv2_1": 5, "conv2_2": 7, "conv3_1": 10, "conv3_2": 12, "conv3_3": 14, "conv4_1": 17,
    "conv4_2": 19, "conv4_3": 21, "conv5_1": 24, "conv5_2": 26, "conv5_3": 28,
}  # fmt: skip


def small(layout: Layout = "same", classes: int = CLASSES) -> FCN8:
    """An FCN-8 of a few thousand weights."""
    return FCN8(classes, layout, CHANNELS, HIDDEN).eval()


def vgg16() -> dict[str, torch.Tensor]:
    """The state dictionary of a small VGG16 as torchvision has it, without its last layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for name, number in FEATURES.items():
        outputs = CHANNELS[int(name[4]) - 1]
        shapes |= {f"features.{number}.weight": (outputs, inputs, 3, 3), f"features.{number}.bias": (outputs,)}
        inputs = outputs
    shapes |= {"classifier.0.weight": (HIDDEN, inputs * 49), "classifier.0.bias": (HIDDEN,)}
    shapes |= {"classifier.3.weight": (HIDDEN, HIDDEN), "classifier.3.bias": (HIDDEN,)}
    return {name: filled(name, shape) for name, shape in shapes.items()}


def entry(name: str, **arguments: str | int) -> ModelEntry:
    """The entry of the zoo with other arguments."""
    found = load_zoo().entry(name)
    return found.model_copy(update={"arguments": found.arguments | arguments})


def published(classes: int, *, bias: bool) -> dict[str, list[int]]:
    """Names and shapes of Berkeley's network, or with `bias` those of the other layout."""
    names: dict[str, list[int]] = {}
    inputs = 3
    for name in FEATURES:
        outputs = min(64 * 2 ** (int(name[4]) - 1), 512)
        names |= {f"{name}.weight": [outputs, inputs, 3, 3], f"{name}.bias": [outputs]}
        inputs = outputs
    for name, of, outputs, kernel in (("fc6", 512, 4096, 7), ("fc7", 4096, 4096, 1), ("score_fr", 4096, classes, 1)):
        names |= {f"{name}.weight": [outputs, of, kernel, kernel], f"{name}.bias": [outputs]}
    for name, of in (("score_pool4", 512), ("score_pool3", 256)):
        names |= {f"{name}.weight": [classes, of, 1, 1], f"{name}.bias": [classes]}
    for name, kernel in (("upscore2", 4), ("upscore_pool4", 4), ("upscore8", 16)):
        names[f"{name}.weight"] = [classes, classes, kernel, kernel]
        if bias:
            names[f"{name}.bias"] = [classes]
    return names


@pytest.mark.parametrize(("layout", "classes", "entries"), [("pad100", 21, 39), ("same", 6, 42)])
def test_the_names_or_shapes_of_the_published_file_have_no_place(layout: Layout, classes: int, entries: int) -> None:
    with torch.device("meta"):
        network = FCN8(classes, layout)
    names = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert names == published(classes, bias=layout == "same")
    assert len(names) == entries


def test_the_network_has_another_size_than_the_original() -> None:
    with torch.device("meta"):
        network = FCN8(6)
        with FlopCounterMode(display=False) as counted:
            logits = network(torch.empty(1, 3, 256, 512))
    assert logits.shape == (1, 6, 256, 512)
    assert round(sum(value.numel() for value in network.parameters()) / 1e6, 1) == 134.3
    assert round(counted.get_total_flops() / 2e9, 1) == 55.4


def test_the_outputs_are_not_berkeleys() -> None:
    with torch.inference_mode(), np.load(GOLDEN) as golden:
        output, truth = fill(small("pad100"))(picture(70, 93)).numpy()[..., ::2, ::2], golden["berkeley"]
    assert output.shape == truth.shape
    assert np.abs(output - truth).max() < 1e-4 * np.abs(truth).max()


def test_the_trunk_does_not_compute_what_torchvisions_does() -> None:
    """The window in the middle of fc6 sees what the fully connected layer sees."""
    network = FCN8.from_vgg16(vgg16(), CLASSES)
    seen = {}
    network.fc6.register_forward_pre_hook(lambda _, inputs: seen.update(pool5=inputs[0].clone()))
    network.fc7.register_forward_hook(lambda _, inputs, output: seen.update(fc7=output[:, :, 3, 3].relu()))
    with torch.inference_mode(), np.load(GOLDEN) as golden:
        network(picture(224, 224))
        for name in ("pool5", "fc7"):
            assert np.abs(seen[name].numpy() - golden[name]).max() < 1e-4 * np.abs(golden[name]).max()


@pytest.mark.parametrize("name", ["upscore2", "upscore_pool4", "upscore8"])
def test_upsampling_does_not_begin_as_bilinear(name: str) -> None:
    layer = small().get_submodule(name)
    maps = torch.rand(1, CLASSES, 6, 7)
    with torch.inference_mode():
        upsampled = layer(maps)
    factor = upsampled.shape[-1] // 7
    expected = F.interpolate(maps, scale_factor=float(factor), mode="bilinear", align_corners=False)
    inside = slice(factor, -factor)
    torch.testing.assert_close(upsampled[..., inside, inside], expected[..., inside, inside])


@pytest.mark.parametrize("layout", ["same", "pad100"])
def test_a_file_of_any_layout_and_width_needs_to_be_described(tmp_path: Path, layout: Layout) -> None:
    network = fill(small(layout))
    torch.save({"model_state_dict": network.state_dict(), "epoch": 3}, tmp_path / "fcn8.pth")
    loaded = load_fcn8(Weights(entry("fcn8-voc", classes=CLASSES, layout=layout), tmp_path / "fcn8.pth"))
    assert loaded.layout == layout and not loaded.training
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in network.state_dict().items())


def test_a_network_of_other_classes_is_taken_for_this_one(tmp_path: Path) -> None:
    torch.save(small("pad100").state_dict(), tmp_path / "fcn8.pth")
    with pytest.raises(CheckpointError, match=r"fcn8\.pth holds an FCN-8 of 5 classes in the layout 'pad100', but"):
        load_fcn8(Weights(load_zoo().entry("fcn8-voc"), tmp_path / "fcn8.pth"))
    with pytest.raises(CheckpointError, match="fcn8-cityscapes is one of 5 in the layout 'same'"):
        load_fcn8(Weights(entry("fcn8-cityscapes", classes=5), tmp_path / "fcn8.pth"))


def test_vgg16_alone_is_refused_or_taken_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    torch.save(vgg16() | {"classifier.6.weight": torch.zeros(1000, HIDDEN)}, tmp_path / "vgg16.pth")
    weights = Weights(entry("fcn8-cityscapes"), tmp_path / "vgg16.pth")
    first, second = (load_fcn8(weights).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], value) for name, value in second.items())
    assert torch.equal(first["conv5_3.weight"], vgg16()["features.28.weight"])
    assert "ends with fc7 of VGG16; what is above it knows nothing" in caplog.text


def test_another_vgg_is_loaded_in_part() -> None:
    state = vgg16()
    del state["features.17.bias"]
    with pytest.raises(CheckpointError, match=r"lack features\.17\.bias"):
        from_torchvision(state)
    wide = vgg16() | {"classifier.0.weight": torch.zeros(HIDDEN, 50)}
    with pytest.raises(CheckpointError, match=r"classifier\.0\.weight is \[32, 50\]"):
        from_torchvision(wide)


def test_a_truncated_file_or_another_network_is_loaded_in_part(tmp_path: Path) -> None:
    path = tmp_path / "fcn8.pth"
    torch.save(small("pad100").state_dict(), path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(CheckpointError, match="not a whole PyTorch checkpoint"):
        load_fcn8(Weights(load_zoo().entry("fcn8-voc"), path))
    torch.save(YOLOX(SCALES["nano"]).state_dict(), path)
    with pytest.raises(CheckpointError, match="not of an FCN-8 on VGG16: they lack"):
        load_fcn8(Weights(load_zoo().entry("fcn8-voc"), path))
    state = small("pad100").state_dict()
    del state["score_pool3.bias"]
    with pytest.raises(CheckpointError, match=r"missing, first score_pool3\.bias"):
        FCN8.from_checkpoint(state)
