"""The tensors in a `.pdiparams` file of PaddlePaddle, in its order; the file has no names.

PaddlePaddle writes the parameters of an inference program in the sorted order of their names, one tensor after the
other: version (4 bytes), levels of sequences (8 bytes, always 0 here), version (4 bytes), the length of a description
(4 bytes), the description (protobuf: field 1 the type, field 2 the dimensions) and the values, as its public
`SerializeToStream` does.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.errors import CheckpointError
from models.tasks import Float

_HEAD = struct.Struct("<IQIi")
_TYPE, _DIMENSION, _DIMENSIONS_PACKED = 0x08, 0x10, 0x12
"""Tags of the description's fields: number and wire type."""

_FLOAT32 = 5
_MOST_DIMENSIONS = 8


def read(path: Path) -> list[Float]:
    """The tensors in the file at `path`, float32 each, in its order.

    Raises:
        CheckpointError: the file is truncated, of another format, or holds other types than float32.
        OSError: the file cannot be opened.
    """
    try:
        tensors = list(_tensors(path.read_bytes()))
        if not tensors:
            raise ValueError("it is empty")
    except (struct.error, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{path} is not a whole PaddlePaddle parameter file ({error}); delete it and fetch it again"
        ) from error
    return tensors


def _tensors(data: bytes) -> Iterator[Float]:
    at = 0
    while at < len(data):
        version, levels, tensor_version, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if (version, levels, tensor_version) != (0, 0, 0) or not 0 < length <= len(data) - at:
            raise ValueError(f"no tensor begins at byte {at - _HEAD.size}")
        kind, shape = _description(data[at : at + length])
        at += length
        if kind != _FLOAT32:
            raise ValueError(f"it holds a tensor of type {kind}, and only float32 ({_FLOAT32}) is read")
        size = 4 * math.prod(shape)
        if size > len(data) - at:
            raise ValueError("it ends within a tensor")
        yield np.frombuffer(data, "<f4", math.prod(shape), at).reshape(shape).astype(np.float32)
        at += size


def _description(data: bytes) -> tuple[int, tuple[int, ...]]:
    """Type and dimensions of a tensor, of protobuf's message `TensorDesc`."""
    kind, shape, at = 0, [], 0
    while at < len(data):
        tag, at = data[at], at + 1
        value, at = _varint(data, at)
        if tag == _TYPE:
            kind = value
        elif tag == _DIMENSION:
            shape.append(value)
        elif tag == _DIMENSIONS_PACKED:
            end = at + value
            while at < end:
                value, at = _varint(data, at)
                shape.append(value)
        else:
            raise ValueError(f"its description has a field of tag {tag}")
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"it describes a tensor of {len(shape)} dimensions")
    return kind, tuple(shape)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A whole number in protobuf's variable length, and where it ends."""
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("its description has a number without end")
