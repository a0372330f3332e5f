"""Weights that two implementations of one network can make without sharing a file: a rule from names to numbers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    """The tensor called `name`: normal numbers from a generator that the CRC-32 of the name seeds.

    They are scaled so that activations neither vanish nor explode in a deep network: matrices and kernels by the root
    of the inputs of one output, biases and running means by .1. Scales of norms and running variances lie in .5..1.5,
    counters are 0.
    """
    random = np.random.default_rng(zlib.crc32(name.encode()))
    last = name.rpartition(".")[2]
    if last == "num_batches_tracked":
        return torch.zeros(shape, dtype=torch.int64)
    if last == "running_var" or (last == "weight" and len(shape) == 1):
        return torch.from_numpy(random.random(shape, np.float32)) + 0.5
    scale = float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.1
    return torch.from_numpy(random.standard_normal(shape, np.float32)) * scale


def fill(network: Network, published: Callable[[str], str] = str) -> Network:
    """Give every tensor of `network` the numbers of its name, or of what `published` makes of it; evaluation mode."""
    own = network.state_dict()
    network.load_state_dict({name: filled(published(name), tuple(tensor.shape)) for name, tensor in own.items()})
    return network.eval()
