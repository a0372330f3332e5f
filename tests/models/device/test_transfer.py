from __future__ import annotations

import numpy as np
import pytest
import torch

from models.device.transfer import download, upload
from tests.models.device.running import CPU


def test_results_of_several_types_are_mixed_up_on_the_way() -> None:
    random = np.random.default_rng(0)
    arrays = (
        random.standard_normal((3, 4), np.float32),
        np.array([True, False, True]),
        random.integers(-9, 9, (2, 2)),
        np.zeros((0, 4), np.float32),
        random.integers(0, 255, (5, 1), np.uint8),
        np.array(7, np.int32),
    )
    back = download(*(upload(array, CPU) for array in arrays))
    for array, copy in zip(arrays, back, strict=True):
        assert array.dtype == copy.dtype and copy.flags.writeable
        np.testing.assert_array_equal(copy, array)


def test_a_tensor_that_is_not_contiguous_comes_back_in_memory_order() -> None:
    (back,) = download(torch.arange(6).view(2, 3).t())
    assert back.tolist() == [[0, 3], [1, 4], [2, 5]]
    (back,) = download(torch.arange(6).view(1, 2, 3)[..., 1])
    assert back.tolist() == [[1, 4]]


@pytest.mark.parametrize("change", ["reversed", "read-only", "strided"])
def test_an_array_with_an_unusual_layout_is_read_wrong(change: str) -> None:
    array = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    if change == "read-only":
        array.setflags(write=False)
    array = {"reversed": array[:, ::-1], "read-only": array, "strided": array[::2, 1:3]}[change]
    np.testing.assert_array_equal(upload(array, CPU).numpy(), array)


def test_the_device_sees_what_the_host_writes_later() -> None:
    array = np.zeros(4, np.uint8)
    there = upload(array, CPU)
    array[:] = 1
    assert not there.any()
