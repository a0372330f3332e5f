from __future__ import annotations

import numpy as np
import pytest

from models.detect import letterbox as on_arrays
from models.device.atlas import Atlas
from models.device.letterbox import letterbox
from models.tasks import Image
from tests.models.device.running import CPU, Waits, street

SIZE = (96, 128)

SHAPES = [(576, 768), (2160, 3840), (64, 64), (8, 2000), (2000, 8), (1, 1), (96, 128), (31, 77), (97, 129)]


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [SIZE, (416, 416), (640, 640)])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_network_sees_another_picture_than_on_the_processor(shape: tuple[int, int], size: tuple[int, int]) -> None:
    image = noise(*shape)
    batch, scales = letterbox(Atlas.of([image], CPU), size)
    expected, expected_scales = on_arrays.letterbox([image], size)
    off = np.abs(batch.numpy().astype(int) - expected)
    assert off.max() <= 1
    np.testing.assert_array_equal(np.array(scales, np.float32), expected_scales)


def test_images_of_different_sizes_change_places() -> None:
    images = [noise(*shape) for shape in ((50, 50), (50, 50), (10, 400), (96, 128), (50, 50))]
    images[1] = images[1][::-1]
    batch, _ = letterbox(Atlas.of(images, CPU), SIZE)
    for row, image in enumerate(images):
        alone, _ = letterbox(Atlas.of([image], CPU), SIZE)
        np.testing.assert_array_equal(batch[row].numpy(), alone[0].numpy())


def test_pictures_on_the_device_and_arrays_do_not_share_a_batch() -> None:
    image = street(90, 120)
    batch, _ = letterbox(Atlas.of([image, np.asarray(image)], CPU), SIZE)
    np.testing.assert_array_equal(batch[0].numpy(), batch[1].numpy())


def test_it_makes_the_host_wait() -> None:
    atlas = Atlas.of([noise(50, 50), noise(10, 400)], CPU)
    with Waits() as waits:
        letterbox(atlas, SIZE)
    assert waits.noted == []
