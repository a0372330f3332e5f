"""The numbers in a darknet `.weights` file (Redmon, "Darknet: Open Source Neural Networks in C"); it has no names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.errors import CheckpointError
from models.tasks import Float

_VERSION = struct.Struct("<3i")
_WIDE_SINCE = (0, 2)
"""The version of the format since which it counts the training images in eight bytes instead of four."""


@dataclass(frozen=True, slots=True, eq=False)
class DarknetWeights:
    """What a file holds.

    Attributes:
        version: major, minor and revision of the format.
        seen: images that the network was trained on.
        values: float32 [N], layer after layer in the order of the network's configuration.
    """

    version: tuple[int, int, int]
    seen: int
    values: Float


def read(path: Path) -> DarknetWeights:
    """The weights in the darknet file at `path`.

    Raises:
        CheckpointError: the file is truncated, or is not a darknet file.
        OSError: the file cannot be opened.
    """
    data = path.read_bytes()
    try:
        major, minor, revision = _VERSION.unpack_from(data)
        if not (0 <= major < 100 and 0 <= minor < 100 and 0 <= revision < 1000):
            raise ValueError(f"it claims to be of version {major}.{minor}.{revision}")
        counter = struct.Struct("<q" if (major, minor) >= _WIDE_SINCE else "<i")
        (seen,) = counter.unpack_from(data, _VERSION.size)
        values = np.frombuffer(data, "<f4", offset=_VERSION.size + counter.size)
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
    except (struct.error, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole darknet weights file ({error}); delete it and fetch it again"
        ) from error
    return DarknetWeights((major, minor, revision), seen, values.astype(np.float32))


def count(layers: Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]) -> int:
    """How many values `fill` takes for `layers`."""
    return sum(tensor.numel() for conv, norm in layers for tensor in _tensors(conv, norm))


def fill(layers: Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]], values: Float) -> None:
    """Copy `values` into `layers`, convolutions each with the batch-norm behind it, in the file's order.

    Of a layer come, with a batch-norm, its bias, scale, mean and variance, and without one the convolution's bias; then
    the convolution's weight [out, in, h, w].

    Raises:
        ValueError: the layers hold another number of values.
    """
    tensors = [tensor for conv, norm in layers for tensor in _tensors(conv, norm)]
    *ends, total = np.cumsum([tensor.numel() for tensor in tensors])
    if total != len(values):
        raise ValueError(f"{len(values)} values for layers that hold {total}")
    with torch.no_grad():
        for tensor, part in zip(tensors, np.split(values, ends), strict=True):
            tensor.copy_(torch.from_numpy(part).view_as(tensor))


def _tensors(conv: nn.Conv2d, norm: nn.BatchNorm2d | None) -> Iterator[torch.Tensor]:
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        yield from (norm.bias, norm.weight, norm.running_mean, norm.running_var)
    elif conv.bias is not None:
        yield conv.bias
    yield conv.weight
