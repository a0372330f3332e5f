from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.detect.letterbox import letterbox, place
from models.tasks import Image

SIZE = (96, 128)


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 114, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    "shape", [(576, 768), (2160, 3840), (64, 64), (8, 2000), (2000, 8), (1, 1), (96, 128), (31, 77)]
)
def test_the_image_lies_top_left_and_the_rest_is_padding(shape: tuple[int, int]) -> None:
    image = noise(*shape)
    (batch,), (scale,) = letterbox([image], SIZE)
    ratio = min(SIZE[0] / shape[0], SIZE[1] / shape[1])
    height, width = max(int(shape[0] * ratio), 1), max(int(shape[1] * ratio), 1)
    assert scale == pytest.approx(ratio)
    np.testing.assert_array_equal(batch[:height, :width], cv2.resize(image, (width, height)))
    assert (batch[height:] == 114).all()
    assert (batch[:, width:] == 114).all()


def test_rounding_does_not_cost_a_row_of_pixels() -> None:
    (batch,), _ = letterbox([np.zeros((576, 768, 3), np.uint8)], (480, 640))
    assert not batch.any()


def test_an_image_that_fits_is_not_resampled() -> None:
    image = noise(*SIZE)
    (batch,), (scale,) = letterbox([image], SIZE)
    np.testing.assert_array_equal(batch, image)
    assert scale == 1


def test_images_of_different_sizes_keep_their_rows() -> None:
    images = [noise(*shape) for shape in ((50, 50), (10, 400), (96, 128))]
    batch, scales = letterbox(images, SIZE)
    assert batch.shape == (3, *SIZE, 3)
    for row, image in enumerate(images):
        (alone,), (scale,) = letterbox([image], SIZE)
        np.testing.assert_array_equal(batch[row], alone)
        assert scales[row] == scale


def test_a_view_into_another_image_is_read_right() -> None:
    whole = noise(200, 200)
    view = whole[20:120:1, 30:130]
    np.testing.assert_array_equal(letterbox([view], SIZE)[0], letterbox([view.copy()], SIZE)[0])


@pytest.mark.parametrize("shape", [(576, 768), (64, 64), (8, 2000), (2000, 8), (96, 128), (31, 77)])
def test_the_image_does_not_lie_in_the_centre_of_its_padding(shape: tuple[int, int]) -> None:
    image = noise(*shape)
    (batch,), (scale,), (offset,) = place([image], SIZE, 200, centred=True)
    height, width = (max(int(side * scale + 1e-4), 1) for side in shape)
    left, top = offset.astype(int)
    assert (abs(SIZE[1] - width - 2 * left), abs(SIZE[0] - height - 2 * top)) <= (1, 1)
    np.testing.assert_array_equal(batch[top : top + height, left : left + width], cv2.resize(image, (width, height)))
    assert (batch == 200).all(-1).sum() == SIZE[0] * SIZE[1] - height * width
