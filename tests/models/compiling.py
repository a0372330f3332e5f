"""A `models.serving.Compile` for tests: eager PyTorch, one thread, no parity gate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from models.backends import CompileSpec, Input, Precision, Source
from models.backends.torch_cpu import TorchBackend
from models.serving import Ready, Weights
from models.zoo import load_zoo


class EagerCompile:
    """Compiles with PyTorch and keeps what it was given: part -> network, inputs."""

    def __init__(self) -> None:
        self.networks: dict[str, nn.Module] = {}
        self.inputs: dict[str, tuple[Input, ...]] = {}

    def __call__(
        self,
        make: Callable[[], Source],
        *,
        size: tuple[int, ...] = (),
        lowest: Precision = "float32",
        part: str = "",
    ) -> Ready:
        assert lowest in ("float32", "bfloat16") and all(side > 0 for side in size)
        source = make()
        self.networks[part] = source.network
        self.inputs[part] = source.inputs
        return Ready(TorchBackend().compile(source.network, CompileSpec(source.inputs, "float32", 1)), source.inputs)


def weights_of(name: str, path: Path | None = None) -> Weights:
    """The weights at `path` (None: random ones) for the model that the zoo calls `name`."""
    return Weights(load_zoo().entry(name), path)
