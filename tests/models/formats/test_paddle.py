"""Reading PaddlePaddle's parameters: every tensor comes out as it went in, and a damaged file is told."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from models.errors import CheckpointError
from models.formats import paddle
from tests.oracles.paddle_eiseg import pdiparams

TENSORS = [np.arange(6, dtype=np.float32).reshape(1, 2, 3), np.array([0.5], np.float32), np.zeros((300, 1), np.float32)]


def save(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "net.pdiparams"
    path.write_bytes(content)
    return path


def test_a_tensor_comes_back_in_another_shape_or_order(tmp_path: Path) -> None:
    found = paddle.read(save(tmp_path, pdiparams(TENSORS)))
    assert [tensor.shape for tensor in found] == [(1, 2, 3), (1,), (300, 1)]
    for tensor, expected in zip(found, TENSORS, strict=True):
        np.testing.assert_array_equal(tensor, expected)
        assert tensor.flags.writeable


def test_dimensions_that_are_packed_are_not_understood(tmp_path: Path) -> None:
    description = b"\x08\x05\x12\x02\x02\x03"
    content = struct.pack("<IQIi", 0, 0, 0, len(description)) + description + np.ones(6, np.float32).tobytes()
    assert paddle.read(save(tmp_path, content))[0].shape == (2, 3)


@pytest.mark.parametrize("kept", [0, 3, 19, 21, 30, -1, -1195])
def test_a_truncated_file_is_taken_for_a_whole_one(tmp_path: Path, kept: int) -> None:
    with pytest.raises(CheckpointError, match=r"net\.pdiparams is not a whole PaddlePaddle parameter file"):
        paddle.read(save(tmp_path, pdiparams(TENSORS)[:kept]))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<!DOCTYPE html><html>moved</html>", "no tensor begins at byte 0"),
        (struct.pack("<IQIi", 0, 0, 0, 1 << 30) + bytes(64), "no tensor begins at byte 0"),
        (struct.pack("<IQIi", 0, 0, 0, -4) + bytes(64), "no tensor begins at byte 0"),
        (struct.pack("<IQIi", 0, 0, 0, 4) + b"\x08\x06\x10\x01" + bytes(8), "of type 6"),
        (struct.pack("<IQIi", 0, 0, 0, 4) + b"\x18\x05\x10\x01" + bytes(8), "a field of tag 24"),
        (struct.pack("<IQIi", 0, 0, 0, 12) + b"\x10" + 11 * b"\xff", "a number without end"),
        (struct.pack("<IQIi", 0, 0, 0, 20) + b"\x08\x05" + 9 * b"\x10\x01", "of 9 dimensions"),
        (struct.pack("<IQIi", 0, 0, 0, 8) + b"\x08\x05\x10\xff\xff\xff\xff\x0f", "ends within a tensor"),
    ],
)
def test_a_damaged_file_is_read(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(CheckpointError, match=why):
        paddle.read(save(tmp_path, content))
