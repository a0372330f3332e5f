from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.errors import CheckpointError
from models.formats import tensorflow
from tests.models.formats.tensorflow_bundle import write_bundle

GOLDEN = Path(__file__).parent / "golden" / "model.ckpt-1.index"
"""Written by TensorFlow 2.19's `tf.compat.v1.train.Saver`: two weights, a counter, a double, nothing, a string."""


def copied(tmp_path: Path) -> Path:
    for file in GOLDEN.parent.glob("model.ckpt-1.*"):
        shutil.copy(file, tmp_path)
    return tmp_path / GOLDEN.name


def test_what_tensorflow_wrote_is_read() -> None:
    tensors = tensorflow.read(GOLDEN)
    assert {name: (array.dtype.name, array.tolist()) for name, array in tensors.items()} == {
        "resnet_v2_152/conv1/weights": ("float32", [[0, 1, 2], [3, 4, 5]]),
        "resnet_v2_152/conv1/biases": ("float32", [1, 2]),
        "global_step": ("int64", 7),
        "double": ("float64", [0.5]),
        "empty": ("float32", []),
    }


def test_names_that_share_a_beginning_and_blocks_that_split_are_read(tmp_path: Path) -> None:
    tensors = {f"resnet_v2_152/block{n // 50}/unit_{n}/weights": np.full((n % 3, 2), n, np.float32) for n in range(200)}
    path = write_bundle(tmp_path / "model.ckpt-7", tensors, entries_per_block=16)
    read = tensorflow.read(path)
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_truncated_index_is_refused(tmp_path: Path) -> None:
    path = copied(tmp_path)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="not the whole index"):
            tensorflow.read(path)


def test_a_damaged_index_is_refused_or_read_but_never_crashes(tmp_path: Path) -> None:
    path = copied(tmp_path)
    whole = path.read_bytes()
    refused = 0
    for place in range(len(whole)):
        for bit in (1, 128):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            try:
                tensorflow.read(path)
            except CheckpointError:
                refused += 1
    assert refused > len(whole) // 2


def test_truncated_tensors_are_refused(tmp_path: Path) -> None:
    path = copied(tmp_path)
    data = next(tmp_path.glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="too short"):
        tensorflow.read(path)


def test_an_index_without_its_tensors_says_which_file_is_missing(tmp_path: Path) -> None:
    path = copied(tmp_path)
    next(tmp_path.glob("*.data-*")).unlink()
    with pytest.raises(CheckpointError, match=r"model\.ckpt-1\.data-00000-of-00001, which has .* is missing"):
        tensorflow.read(path)


def test_the_file_of_the_tensors_is_not_taken_for_the_index() -> None:
    with pytest.raises(CheckpointError, match=r"give the path of its \.index file"):
        tensorflow.read(next(GOLDEN.parent.glob("*.data-*")))


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.index"
    path.write_bytes(np.random.default_rng(0).bytes(10_000))
    with pytest.raises(CheckpointError, match="does not end as one"):
        tensorflow.read(path)
