"""int8 serves only what somebody has calibrated, for these weights, and what must not be quantised is not."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.backends import BackendUnavailableError, CompileSpec, Input, Source, compile_network
from models.backends.base import Recipe
from models.backends.cache import SIDECAR, EngineCache
from models.backends.int8 import CalibratingBackend, Sample, output_layers, quantised
from models.backends.openvino import OpenVINOBackend, converted
from models.backends.pixels import FromPixels
from models.tasks import PixelFormat

pytest.importorskip("openvino", reason="the extra `cpu` is not installed")

INPUTS = (Input.pixels(32, 32),)
SPEC = CompileSpec(INPUTS, "int8", threads=1, batch=1)
PIXELS = PixelFormat(rgb=True, mean=(123.0, 116.0, 103.0), std=(58.0, 57.0, 56.0))


class Small(nn.Module):
    """A backbone, parts that are to stay as they are, and two layers that make outputs."""

    keep_float32 = ("neck",)
    not_int8 = ("backbone.4",)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 8, 3, 1, 1), nn.SiLU(), nn.Conv2d(8, 8, 1)
        )
        self.neck = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.SiLU())
        self.boxes = nn.Conv2d(8, 4, 1)
        self.scores = nn.Conv2d(8, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.neck(self.backbone(images))
        return torch.cat([self.boxes(features), self.scores(features).sigmoid()], dim=1).flatten(2)


def network() -> FromPixels:
    torch.manual_seed(0)
    return FromPixels(Small().eval(), PIXELS)


def recipe(weights: int = 0) -> Recipe:
    return Recipe("small", {"weights": weights}, lambda: Source(network(), INPUTS), "bfloat16")


def samples(count: int = 3) -> list[Sample]:
    random = np.random.default_rng(0)
    return [(random.integers(0, 256, (1, 32, 32, 3), np.uint8),) for _ in range(count)]


@pytest.fixture(scope="module")
def unjudged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Engines of which one is in int8, whose AP nobody has measured."""
    pytest.importorskip("nncf", reason="the extra `int8` is not installed")
    folder = tmp_path_factory.mktemp("engines")
    candidates = [CalibratingBackend(samples())]
    compile_network(recipe(), threads=1, precision="int8", candidates=candidates, cache=EngineCache(folder))
    return folder


@pytest.fixture
def cache(unjudged: Path, tmp_path: Path) -> EngineCache:
    """The same, after it was found good."""
    shutil.copytree(unjudged, tmp_path, dirs_exist_ok=True)
    (sidecar,) = tmp_path.glob(f"*int8*/{SIDECAR}")
    record = json.loads(sidecar.read_text())
    record["facts"]["calibrated"] = "box AP .532 instead of .533"
    sidecar.write_text(json.dumps(record))
    return EngineCache(tmp_path)


def quantised_layers(model: Any) -> set[str]:
    """Layers whose input is quantised, by their name in the network."""
    return {
        node.get_friendly_name().split("/")[0].removeprefix("__module.network.")
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Convolution" and node.input_value(0).get_node().get_type_name() == "FakeQuantize"
    }


@pytest.mark.parametrize("kept", [True, False])
def test_whoever_asks_for_int8_without_having_calibrated_gets_something_else_or_a_riddle(
    tmp_path: Path, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(BackendUnavailableError, match="^small is not calibrated for int8.* 'peoplestream models cal"):
        compile_network(recipe(), threads=1, precision="int8", cache=EngineCache(tmp_path) if kept else None)
    assert "compiling" not in caplog.text, "what will not be done is not announced"


def test_pytorch_pretends_to_compute_in_int8() -> None:
    with pytest.raises(BackendUnavailableError, match="torch: it does not compute in int8 here"):
        compile_network(recipe(), threads=1, backend="torch", precision="int8")


def test_without_nncf_nobody_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'peoplestream\[int8\]'"):
        quantised(network(), SPEC, samples())


def test_a_layer_behind_an_activation_is_not_seen_to_make_an_output() -> None:
    names = {name.split("/")[0] for name in output_layers(converted(network(), SPEC))}
    assert names == {"__module.network.boxes", "__module.network.scores"}


def test_the_outputs_or_what_is_to_stay_are_quantised_or_nothing_is() -> None:
    pytest.importorskip("nncf", reason="the extra `int8` is not installed")
    original = network()
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    model = quantised(original, SPEC, samples())
    assert quantised_layers(model) == {"backbone.0", "backbone.2"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in original.state_dict().items())


def test_a_calibrated_network_is_not_taken_or_says_something_else(cache: EngineCache) -> None:
    made = []

    def make() -> Source:
        made.append(1)
        return Source(network(), INPUTS)

    kept = Recipe("small", {"weights": 0}, make, "float32")
    served = compile_network(kept, threads=1, cache=cache, candidates=[OpenVINOBackend()])
    assert served.choice.precision == served.run.precision == "int8" and not made
    assert "box AP .532 instead of .533" in served.choice.reason
    pixels = np.concatenate([of for (of,) in samples(3)])
    (output,) = served.run(pixels)
    with torch.inference_mode():
        (expected,) = network()(torch.from_numpy(pixels))
    error = np.linalg.norm(output - expected.numpy()) / np.linalg.norm(expected.numpy())
    assert 1e-4 < error < 0.05, "int8, but the same network"


def test_auto_takes_an_int8_network_that_nobody_has_judged(unjudged: Path) -> None:
    cache = EngineCache(unjudged)
    assert compile_network(recipe(), threads=1, cache=cache, candidates=[OpenVINOBackend()]).choice.precision != "int8"


def test_other_weights_get_the_int8_network_of_the_old_ones_or_lose_it_in_silence(
    cache: EngineCache, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        served = compile_network(recipe(weights=1), threads=1, cache=cache, candidates=[OpenVINOBackend()])
    assert served.choice.precision != "int8"
    assert "is for another network weights" in caplog.text
    with pytest.raises(BackendUnavailableError, match="not calibrated"):
        compile_network(recipe(weights=1), threads=1, precision="int8", cache=cache)
