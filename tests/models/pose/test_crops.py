from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.pose.crops import Crops
from models.tasks import Float, Image

SIZE = (256, 192)


def boxes(*rows: tuple[float, float, float, float]) -> Float:
    return np.array(rows, np.float32).reshape(-1, 4)


def smooth(height: int, width: int) -> Image:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 1.5)


def corners(crops: Crops) -> Float:
    """Outer edges of the crops in their images: x1, y1, x2, y2, with pixel centres at whole numbers in the crop."""
    height, width = crops.size
    edges = np.array([[[0, 0], [width, height]]], np.float32).repeat(len(crops), axis=0)
    return crops.to_image(edges).reshape(-1, 4)


@pytest.mark.parametrize(
    ("box", "width", "height"),
    [((100, 50, 175, 150), 93.75, 125), ((100, 50, 110, 250), 187.5, 250), ((100, 50, 400, 60), 375, 500)],
)
def test_a_crop_holds_the_padded_box_in_the_networks_shape(
    box: tuple[int, int, int, int], width: float, height: float
) -> None:
    x1, y1, x2, y2 = corners(Crops.around(boxes(box), SIZE, 1.25))[0]
    assert (x2 - x1, y2 - y1) == pytest.approx((width, height), rel=1e-5)
    assert ((x1 + x2) / 2, (y1 + y2) / 2) == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), rel=1e-5)


@pytest.mark.parametrize("shape", [(576, 768), (2160, 3840), (64, 64), (8, 2000)])
def test_the_pixels_are_those_of_a_plain_affine_warp(shape: tuple[int, int]) -> None:
    image = smooth(*shape)
    random = np.random.default_rng(1)
    centres = random.uniform(-0.2, 1.2, (40, 2)) * shape[::-1]
    halves = random.uniform(0, 0.3, (40, 2)) * shape[::-1]
    crops = Crops.around(np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32), SIZE, 1.25)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for cut, (x, y), pitch in zip(crops.cut([image] * 40), crops.origins, crops.pitches, strict=True):
        affine = np.array([[pitch, 0, x], [0, pitch, y]])
        np.testing.assert_array_equal(cut, cv2.warpAffine(image, affine, (192, 256), flags=flags))


def test_crops_of_several_images_do_not_mix() -> None:
    images = [np.full((300, 300, 3), level, np.uint8) for level in (40, 120, 200)]
    crops = Crops.around(boxes(*[(120, 120, 180, 180)] * 4), SIZE, 1.25)
    cuts = crops.cut([images[0], images[1], images[2], images[0]])
    assert [int(cut.min()) for cut in cuts] == [int(cut.max()) for cut in cuts] == [40, 120, 200, 40]


def test_beyond_the_image_it_is_black() -> None:
    image = np.full((100, 100, 3), 255, np.uint8)
    (cut,) = Crops.around(boxes((-60, 20, 0, 100)), SIZE, 1.25).cut([image])
    assert cut[128, 0].tolist() == [0, 0, 0]
    assert cut[128, 191].tolist() == [255, 255, 255]


@pytest.mark.parametrize("box", [(-500, -500, -400, -300), (300, 10, 400, 90), (10, 5000, 20, 5060)])
def test_a_person_outside_of_the_image_is_a_black_crop(box: tuple[int, int, int, int]) -> None:
    (cut,) = Crops.around(boxes(box), SIZE, 1.25).cut([np.full((100, 100, 3), 255, np.uint8)])
    assert not cut.any()


def test_a_box_without_extent_still_has_a_crop() -> None:
    crops = Crops.around(boxes((50, 50, 50, 50)), SIZE, 1.25)
    assert np.isfinite(corners(crops)).all()
    assert crops.cut([np.full((100, 100, 3), 255, np.uint8)]).all()


@pytest.mark.parametrize("box", [(20, 30, 60, 120), (-40, -30, 90, 150), (300, 200, 420, 330)])
def test_a_point_found_in_the_crop_lies_where_it_is_in_the_image(box: tuple[int, int, int, int]) -> None:
    x, y = min(box[2] - 5, 380), min(box[3] - 10, 280)
    image = np.zeros((300, 400, 3), np.uint8)
    cv2.circle(image, (x, y), 4, (255, 255, 255), -1)
    crops = Crops.around(boxes(box), SIZE, 1.25)
    weights = crops.cut([cv2.GaussianBlur(image, (9, 9), 2)])[0, ..., 0].astype(np.float64)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    middle = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
    np.testing.assert_allclose(crops.to_image(middle.reshape(1, 1, 2).astype(np.float32)), [[[x, y]]], atol=0.05)
