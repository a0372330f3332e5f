"""Tensors of a TensorFlow 1 checkpoint ("V2": `.index` and `.data-00000-of-00001`), read without TensorFlow.

The index is a table as LevelDB defines it (doc/table_format.md there), whose keys are names of tensors and whose values
are the protocol buffers of tensorflow/core/protobuf/tensor_bundle.proto. The other files hold the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from models.errors import CheckpointError

SUFFIX = ".index"

_MAGIC = 0xDB4775248B80FB57
_FOOTER, _TRAILER = 48, 5
"""Bytes at the end of the table, and behind each of its blocks: its compression and a checksum."""

_DTYPES: Mapping[int, str] = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 5: "<i2", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}
"""Of tensorflow/core/framework/types.proto, those that numpy has; others, such as strings, are no weights."""

_Fields: TypeAlias = dict[int, list[int | bytes]]


class _Entry(NamedTuple):
    """Where the bytes of one tensor lie."""

    dtype: str
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int


def read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The numeric tensors of the checkpoint whose index is at `path`: name -> array, read-only views of its files.

    Raises:
        CheckpointError: the index is not a whole table, or one of the files with the tensors is missing or too short.
        OSError: a file cannot be opened.
    """
    if path.suffix != SUFFIX:
        raise CheckpointError(f"{path} is not the index of a TensorFlow checkpoint; give the path of its {SUFFIX} file")
    try:
        shards, entries = _index(path.read_bytes())
    except (IndexError, KeyError, ValueError, TypeError, struct.error) as error:
        raise CheckpointError(
            f"{path} is not the whole index of a TensorFlow checkpoint ({error}); copy it again"
        ) from error
    data = [_shard(path, number, shards) for number in range(shards)]
    tensors = {}
    for name, entry in entries.items():
        if not 0 <= entry.shard < shards or not 0 <= entry.offset <= entry.offset + entry.size <= len(
            data[entry.shard]
        ):
            raise CheckpointError(f"{path}: the file with the tensor {name} is too short for it; copy it again")
        raw = data[entry.shard][entry.offset : entry.offset + entry.size]
        tensors[name] = raw.view(entry.dtype).reshape(entry.shape)
    return tensors


def _shard(path: Path, number: int, shards: int) -> npt.NDArray[np.uint8]:
    file = path.with_name(f"{path.name.removesuffix(SUFFIX)}.data-{number:05}-of-{shards:05}")
    if not file.is_file():
        raise CheckpointError(f"{file}, which has the tensors of {path.name}, is missing; put it beside that")
    if not file.stat().st_size:
        return np.zeros(0, np.uint8)
    return np.memmap(file, np.uint8, "r")


def _index(table: bytes) -> tuple[int, dict[str, _Entry]]:
    """How many files hold the tensors, and where each lies in them."""
    if len(table) < _FOOTER or struct.unpack_from("<Q", table, len(table) - 8)[0] != _MAGIC:
        raise ValueError("it does not end as one")
    footer = len(table) - _FOOTER
    _, at = _handle(table, footer)  # the first handle is of a block that these tables leave empty
    top, _ = _handle(table, at)
    shards, entries = 0, {}
    for _, handle in _block(table, *top):
        for key, value in _block(table, *_handle(handle, 0)[0]):
            fields = _message(value)
            if not key:
                shards = _number(fields, 1)
                if _number(fields, 2):
                    raise ValueError("it is of a big-endian machine")
            elif (entry := _entry(fields)) is not None:
                entries[key.decode()] = entry
    if not 1 <= shards <= 99_999:
        raise ValueError("it does not say how many files there are")
    return shards, entries


def _entry(fields: _Fields) -> _Entry | None:
    """A BundleEntryProto; None for a tensor that numpy has no type for."""
    dtype = _DTYPES.get(_number(fields, 1))
    if dtype is None:
        return None
    if 7 in fields:
        raise ValueError("it has a tensor in slices")
    dimensions = [_message(_bytes(dim)) for shape in fields.get(2, []) for dim in _message(_bytes(shape)).get(2, [])]
    shape = tuple(_number(dim, 1) for dim in dimensions)
    size = _number(fields, 5)
    if size != np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object)):
        raise ValueError("a tensor's size is not that of its shape")
    return _Entry(dtype, shape, _number(fields, 3), _number(fields, 4), size)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block: entries that share a prefix of their keys, then where prefixes start anew."""
    if offset + size + _TRAILER > len(table) - _FOOTER:
        raise ValueError("a block lies outside of it")
    if table[offset + size]:
        raise ValueError("it is compressed")
    (restarts,) = struct.unpack_from("<I", table, offset + size - 4)
    end = offset + size - 4 * (restarts + 1)
    key, at = b"", offset
    while at < end:
        shared, at = _varint(table, at)
        own, at = _varint(table, at)
        length, at = _varint(table, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("an entry lies outside of its block")
        key = key[:shared] + table[at : at + own]
        at += own
        yield key, table[at : at + length]
        at += length


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the next value begins."""
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return (offset, size), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer in groups of seven bits, the lowest first, and where the next value begins."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at + shift // 7]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    raise ValueError("a number is too long")


def _message(data: bytes) -> _Fields:
    """The fields of a protocol buffer: number -> values, integers or bytes."""
    fields: _Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value: int | bytes
        if tag & 7 == 0:
            value, at = _varint(data, at)
        else:
            length, at = {1: (8, at), 5: (4, at)}.get(tag & 7) or _varint(data, at)
            if tag & 7 not in (1, 2, 5) or at + length > len(data):
                raise ValueError("an entry is malformed")
            value, at = data[at : at + length], at + length
        fields.setdefault(tag >> 3, []).append(value)
    return fields


def _number(fields: _Fields, field: int) -> int:
    value = fields.get(field, [0])[-1]
    if not isinstance(value, int):
        raise ValueError("an entry is malformed")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("an entry is malformed")
    return value
