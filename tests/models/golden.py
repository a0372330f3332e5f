"""Networks on the weights of an oracle, to be compared with its golden arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from models.backends.pixels import FromPixels
from models.tasks import Image, TensorRunner
from tests.oracles import openmmlab


def published_state(
    network: nn.Module, gain: npt.NDArray[Any], published: Callable[[str], str] = str
) -> dict[str, Tensor]:
    """The checkpoint that `openmmlab` gave its network, with the names that `published` makes of ours."""
    names = {published(name): tensor for name, tensor in network.state_dict().items()}
    return {name: openmmlab.weight(name, tensor, float(gain)) for name, tensor in names.items()}


def pixels() -> Image:
    """The batch that the oracle saw."""
    height, width = openmmlab.SIZE
    return np.stack([cv2.resize(image, (width, height)) for image in openmmlab.images()])


def eager(network: nn.Module) -> TensorRunner:
    """A runner of this network, from pixels where it has a format of them."""
    module = FromPixels(network, network.pixels) if hasattr(network, "pixels") else network  # type: ignore[arg-type]

    @torch.inference_mode()
    def run(*inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        outputs = module(*(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs))
        return tuple(output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,)))

    return run


def assert_close(ours: npt.NDArray[Any], golden: npt.NDArray[Any]) -> None:
    """Equal to 1e-4 absolutely, or where they are large to 1e-5 of their value."""
    np.testing.assert_allclose(ours, golden, rtol=1e-5, atol=1e-4)
