"""A `models.serving.Compile` for tests: eager PyTorch, one thread, no parity gate."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from models.backends import CompileSpec, Input, Precision
from models.backends.torch_cpu import TorchBackend
from models.serving import Weights
from models.tasks import TensorRunner
from models.zoo import load_zoo


class EagerCompile:
    """Compiles with PyTorch and keeps what it was given: part -> network, inputs."""

    def __init__(self) -> None:
        self.networks: dict[str, nn.Module] = {}
        self.inputs: dict[str, tuple[Input, ...]] = {}

    def __call__(
        self, network: nn.Module, *inputs: Input, lowest: Precision = "float32", part: str = ""
    ) -> TensorRunner:
        assert lowest in ("float32", "bfloat16")
        self.networks[part] = network
        self.inputs[part] = inputs
        return TorchBackend().compile(network, CompileSpec(inputs, "float32", 1))


def weights_of(name: str, path: Path | None = None) -> Weights:
    """The weights at `path` (None: random ones) for the model that the zoo calls `name`."""
    return Weights(load_zoo().entry(name), path)
