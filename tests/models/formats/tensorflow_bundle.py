"""Writes TensorFlow checkpoints as `models.formats.tensorflow` reads them, with every optional shortcut taken."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def write_bundle(prefix: Path, tensors: Mapping[str, npt.NDArray[Any]], entries_per_block: int = 64) -> Path:
    """Write float32 `tensors` as one file beside an index; returns the index."""
    data = bytearray()
    pairs: list[tuple[bytes, bytes]] = [(b"", _field(1, 1))]
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], np.float32)
        shape = b"".join(_field(2, _field(1, length)) for length in array.shape)
        entry = _field(1, 1) + _field(2, shape) + _field(4, len(data)) + _field(5, array.nbytes)
        pairs.append((name.encode(), entry + _varint(6 << 3 | 5) + bytes(4)))
        data += array.tobytes()
    table, top = bytearray(), []
    for first in range(0, len(pairs), entries_per_block):
        some = pairs[first : first + entries_per_block]
        top.append((some[-1][0], _append(table, some)))
    handles = _append(table, []) + _append(table, top)
    table += handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table)
    return index


def _append(table: bytearray, pairs: list[tuple[bytes, bytes]]) -> bytes:
    """Append a block of these entries; returns where it lies."""
    block, before = bytearray(), b""
    for key, value in pairs:
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        block += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        before = key
    block += struct.pack("<II", 0, 1)
    handle = _varint(len(table)) + _varint(len(block))
    table += block + bytes(5)
    return handle


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
