"""Reading darknet's weights: every value goes where the configuration says, and a damaged file is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.errors import CheckpointError
from models.formats import darknet
from tests.oracles.darknet_yolov3 import darknet_file

VALUES = np.arange(7, dtype=np.float32)


@pytest.mark.parametrize("version", [(0, 1, 0), (0, 2, 0), (0, 2, 5), (1, 0, 0)])
def test_a_header_of_another_length_shifts_the_values(tmp_path: Path, version: tuple[int, int, int]) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(darknet_file(VALUES, version, seen=64000))
    found = darknet.read(path)
    assert (found.version, found.seen) == (version, 64000)
    np.testing.assert_array_equal(found.values, VALUES)


@pytest.mark.parametrize("kept", [0, 11, 17, 20 + 4 * 3 + 1])
def test_a_truncated_file_is_taken_for_a_whole_one(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(darknet_file(VALUES)[:kept])
    with pytest.raises(CheckpointError, match=r"net\.weights is not a whole darknet weights file"):
        darknet.read(path)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>moved</html>", b"PK\x03\x04" + bytes(96), b"\xff" * 96])
def test_a_file_of_another_kind_is_read_as_numbers(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="claims to be of version"):
        darknet.read(path)


def test_values_that_are_not_finite_are_loaded(tmp_path: Path) -> None:
    path = tmp_path / "net.weights"
    path.write_bytes(darknet_file(np.array([1, np.nan], np.float32)))
    with pytest.raises(CheckpointError, match="not finite"):
        darknet.read(path)


def test_a_layer_takes_its_values_in_another_order_than_darknets() -> None:
    plain, normed, norm = nn.Conv2d(2, 1, 1), nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2)
    layers = [(normed, norm), (plain, None)]
    assert darknet.count(iter(layers)) == 13
    darknet.fill(iter(layers), np.arange(13, dtype=np.float32))
    found = [norm.bias, norm.weight, norm.running_mean, norm.running_var, normed.weight, plain.bias, plain.weight]
    np.testing.assert_array_equal(torch.cat([tensor.detach().flatten() for tensor in found]), np.arange(13))


def test_values_are_left_over_or_missing_unnoticed() -> None:
    for number in (2, 4):
        with pytest.raises(ValueError, match="layers that hold 3"):
            darknet.fill(iter([(nn.Conv2d(2, 1, 1), None)]), np.zeros(number, np.float32))
