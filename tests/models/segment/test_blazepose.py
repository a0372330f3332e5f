"""The network: its shape, its ways into the compilers, and getting the right weights into the right layers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends import CompileSpec, Input
from models.backends.pixels import FromPixels
from models.errors import CheckpointError
from models.formats.tflite import TfliteGraph
from models.segment import blazepose
from models.segment.blazepose import VARIANTS, BlazePose, load_tflite
from tests.models.segment.tflite_graphs import converted, randomized


@pytest.fixture(scope="module")
def network() -> BlazePose:
    return randomized(BlazePose(), seed=1)


def crops(count: int) -> torch.Tensor:
    return torch.rand(count, 3, 256, 256, generator=torch.Generator().manual_seed(count))


def given(monkeypatch: pytest.MonkeyPatch, graph: TfliteGraph) -> Path:
    """The path of a file that holds `graph`."""
    monkeypatch.setattr(blazepose, "read", lambda path: graph)
    return Path("masks.tflite")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_mask_has_another_size_than_the_crop(variant: str) -> None:
    with torch.inference_mode():
        assert BlazePose(variant)(crops(2)).shape == (2, 1, 256, 256)


def test_people_of_a_batch_influence_each_other(network: BlazePose) -> None:
    images = crops(3)
    with torch.inference_mode():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_torch_export_fixes_the_batch_or_changes_the_result(network: BlazePose) -> None:
    batch = torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (crops(2),), dynamic_shapes=({0: batch},)).module()
    with torch.inference_mode():
        torch.testing.assert_close(exported(crops(5)), network(crops(5)))


def test_openvino_fixes_the_batch_or_changes_the_result(network: BlazePose) -> None:
    pytest.importorskip("openvino", reason="the extra 'cpu' is not installed")
    from models.backends.openvino import OpenVINOBackend

    deployed = FromPixels(network, BlazePose.pixels)
    compiled = OpenVINOBackend().compile(deployed, CompileSpec((Input.pixels(256, 256),), "float32", 1))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8)
    with torch.inference_mode():
        expected = deployed(torch.from_numpy(pixels))[0].numpy()
    for count in (1, 3):
        (logits,) = compiled(pixels[:count])
        assert np.linalg.norm(logits - expected[:count]) < 1e-4 * np.linalg.norm(expected[:count])


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_go_to_other_layers_where_the_file_has_another_order(
    monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    original = randomized(BlazePose(variant), seed=2)
    loaded = BlazePose(variant)
    load_tflite(loaded, given(monkeypatch, converted(original, seed=3)))
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


def test_the_file_of_another_variant_is_loaded_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    heavy = given(monkeypatch, converted(BlazePose("heavy")))
    network = BlazePose("full")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"masks.tflite does not hold the full BlazePose network: 110 .* not 68"):
        load_tflite(network, heavy)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_graph_without_a_mask_leaves_the_network_random(monkeypatch: pytest.MonkeyPatch, network: BlazePose) -> None:
    graph = converted(network)
    without = replace(graph, outputs=graph.outputs[:1])
    with pytest.raises(CheckpointError, match="0 convolutions lead to its mask"):
        load_tflite(BlazePose(), given(monkeypatch, without))


def test_a_quantised_file_fills_the_network_with_whole_numbers(
    monkeypatch: pytest.MonkeyPatch, network: BlazePose
) -> None:
    graph = converted(network)
    quantised = tuple(
        tensor if tensor.data is None else replace(tensor, data=(tensor.data * 1000).astype(np.int8))
        for tensor in graph.tensors
    )
    with pytest.raises(CheckpointError, match="0 convolutions lead to its mask"):
        load_tflite(BlazePose(), given(monkeypatch, replace(graph, tensors=quantised)))


def test_a_graph_that_bites_its_tail_is_followed_forever(monkeypatch: pytest.MonkeyPatch, network: BlazePose) -> None:
    graph = converted(network)
    circle = tuple(replace(operator, inputs=(*operator.inputs, graph.outputs[1])) for operator in graph.operators)
    loaded = BlazePose()
    load_tflite(loaded, given(monkeypatch, replace(graph, operators=circle)))
    assert torch.equal(loaded.logits.weight, network.logits.weight)


@pytest.mark.parametrize(
    "content", [b"", b"TFL3", b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 4, b"<html>log in</html>"]
)
def test_a_malformed_file_ends_in_a_traceback_of_another_kind(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.tflite"):
        load_tflite(BlazePose(), path)
