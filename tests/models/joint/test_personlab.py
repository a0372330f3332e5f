from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.errors import CheckpointError
from models.formats import tensorflow
from models.joint.personlab import EDGES, TO_COCO, PersonLab, from_slim
from models.joint.personlab_task import load_personlab
from models.loading import load_state
from models.serving import Weights
from models.zoo import ModelEntry
from tests.models.compiling import weights_of
from tests.models.formats.tensorflow_bundle import write_bundle
from tests.oracles.filled import fill


def published(units: tuple[int, ...], width: int, features: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the variables of TF-slim's `resnet_v2` and the five heads."""
    root = "resnet_v2_152"
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    shapes: dict[str, tuple[int, ...]] = {f"{root}/conv1/weights": (7, 7, 3, width), f"{root}/conv1/biases": (width,)}
    channels = width
    for block, count in enumerate(units):
        inside = width << block
        for unit in range(1, count + 1):
            at = f"{root}/block{block + 1}/unit_{unit}/bottleneck_v2"
            shapes |= {f"{at}/preact/{part}": (channels,) for part in norm}
            if channels != 4 * inside:
                shapes |= {
                    f"{at}/shortcut/weights": (1, 1, channels, 4 * inside),
                    f"{at}/shortcut/biases": (4 * inside,),
                }
            shapes |= {f"{at}/conv1/weights": (1, 1, channels, inside), f"{at}/conv2/weights": (3, 3, inside, inside)}
            shapes |= {f"{at}/conv{n}/BatchNorm/{part}": (inside,) for n in (1, 2) for part in norm}
            shapes |= {f"{at}/conv3/weights": (1, 1, inside, 4 * inside), f"{at}/conv3/biases": (4 * inside,)}
            channels = 4 * inside
    shapes |= {f"{root}/postnorm/{part}": (channels,) for part in norm}
    heads = {"kp_maps": 17, "short_offsets": 34, "mid_offsets": 64, "long_offsets": 34, "seg_mask": 1}
    for name, inputs, outputs in (
        (f"{root}/logits", channels, features),
        *((n, features, c) for n, c in heads.items()),
    ):
        shapes |= {f"{name}/weights": (1, 1, inputs, outputs), f"{name}/biases": (outputs,)}
    return shapes


def by_slim(network: PersonLab) -> dict[str, np.ndarray]:
    """The tensors of `network` under the published names, with what an optimizer adds."""
    leaves = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    tensors: dict[str, np.ndarray] = {"global_step": np.float32(3), "beta1_power": np.float32(0.9)}
    for name, tensor in network.state_dict().items():
        *modules, leaf = name.split(".")
        if leaf == "num_batches_tracked":
            continue
        normed = tensor.dim() == 1 and any(re.fullmatch(r"preact|postnorm|norm\d", module) for module in modules)
        names = {"weight": "gamma", "bias": "beta"} if normed else {"weight": "weights", "bias": "biases"}
        path = "/".join([*modules, (names | leaves)[leaf]])
        path = re.sub(r"(unit_\d+)/", r"\1/bottleneck_v2/", re.sub("^trunk/", "resnet_v2_152/", path))
        path = re.sub(r"norm([12])/", r"conv\1/BatchNorm/", path)
        array = tensor.numpy()
        tensors[path] = array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
        tensors[f"{path}/Adam"] = tensors[f"{path}/Adam_1"] = np.zeros_like(tensors[path])
    return tensors


def run(network: PersonLab, height: int = 65, width: int = 97) -> tuple[Tensor, ...]:
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return network.eval()(images)


def test_the_network_has_the_parameters_of_tf_slims() -> None:
    with torch.device("meta"):
        network = PersonLab()
    assert sum(tensor.numel() for tensor in network.parameters()) == 62_691_606


def test_every_published_variable_has_its_tensor_and_no_tensor_is_left() -> None:
    with torch.device("meta"):
        own = {name: tuple(tensor.shape) for name, tensor in PersonLab().state_dict().items()}
    variables = published((3, 8, 36, 3), 64, 2048)
    assert len(variables) == 826
    mapped = from_slim({name: np.broadcast_to(np.float32(0), shape) for name, shape in variables.items()})
    expected = {name: shape for name, shape in own.items() if not name.endswith("num_batches_tracked")}
    assert {name: tuple(tensor.shape) for name, tensor in mapped.items()} == expected


@pytest.mark.parametrize("stride", [8, 16])
def test_the_maps_have_one_cell_more_than_strides_fit(stride: int) -> None:
    maps = run(PersonLab(stride, units=(1, 1, 1, 1), width=4, features=8))
    cells = 64 // stride + 1, 96 // stride + 1
    assert [tuple(part.shape) for part in maps] == [(2, channels, *cells) for channels in (17, 34, 64, 34, 1)]
    assert all(0 <= part.min() <= part.max() <= 1 for part in (maps[0], maps[4]))


def test_a_checkpoint_gives_the_network_it_came_from(tmp_path: Path) -> None:
    trained = fill(PersonLab(16, "running", units=(1, 1, 1, 1), width=4, features=8))
    assert {name for name in by_slim(trained) if "Adam" not in name} - {"global_step", "beta1_power"} == set(
        published((1, 1, 1, 1), 4, 8)
    )
    path = write_bundle(tmp_path / "model.ckpt-193", by_slim(trained))
    loaded = PersonLab(16, "running", units=(1, 1, 1, 1), width=4, features=8)
    load_state(loaded, from_slim(tensorflow.read(path)))
    for ours, theirs in zip(run(loaded), run(trained), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = write_bundle(tmp_path / "other", {"resnet_v2_50/conv1/weights": np.zeros((7, 7, 3, 64), np.float32)})
    with pytest.raises(CheckpointError, match="do not fit PersonLab: .* tensors missing"):
        load_personlab(weights_of("personlab-r152", path))


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"not a TensorFlow checkpoint; give the path of its \.index file"):
        load_personlab(weights_of("personlab-r152", path))


def test_the_batch_norm_and_the_stride_are_what_the_zoo_says() -> None:
    entry = weights_of("personlab-r152").entry
    for mode in ("batch", "running"):
        asked = ModelEntry.model_validate(entry.model_dump() | {"arguments": {"output_stride": 8, "bn_mode": mode}})
        with torch.device("meta"):
            assert load_personlab(Weights(asked, None)).trunk.postnorm.mode == mode


def test_the_tree_reaches_every_keypoint_once() -> None:
    reached = {0}
    for start, end in EDGES:
        assert start in reached
        assert end not in reached
        reached.add(end)
    assert reached == set(range(17))
    assert sorted(TO_COCO) == list(range(17))
