"""Masks from prototypes, beside the plain way: all cells, all pixels, then cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.joint.dynamic_masks import PARAMETERS, DynamicMasks
from models.tasks import Bool, Float

ROWS, COLUMNS = 12, 16


def masks(xyxy: list[list[float]], size: tuple[int, int], scale: float = 1.0) -> DynamicMasks:
    """Of a person for each box, with random networks."""
    random = np.random.default_rng(0)
    people = len(xyxy)
    return DynamicMasks(
        kernels=random.standard_normal((people, PARAMETERS), np.float32),
        points=random.integers(0, 96, (people, 2)).astype(np.float32),
        strides=np.full((people, 1), 16, np.float32),
        prototypes=random.standard_normal((8, ROWS, COLUMNS), np.float32),
        xyxy=np.array(xyxy, np.float32).reshape(-1, 4),
        scale=scale,
        size=size,
    )


def plain(made: DynamicMasks, person: int) -> Bool:
    """The whole mask of one person by PyTorch's own operators."""
    y, x = np.mgrid[:ROWS, :COLUMNS] * 8.0
    relative = (made.points[person][:, None, None] - np.stack([x, y])) / (made.strides[person] * 8)
    features = torch.from_numpy(np.concatenate([relative, made.prototypes]).astype(np.float32))[None]
    w1, w2, w3, b1, b2, b3 = torch.from_numpy(made.kernels[person]).split([80, 64, 8, 8, 8, 1])
    hidden = F.relu(F.conv2d(features, w1.view(8, 10, 1, 1), b1))
    hidden = F.relu(F.conv2d(hidden, w2.view(8, 8, 1, 1), b2))
    logits = F.conv2d(hidden, w3.view(1, 8, 1, 1), b3)
    at_input = F.interpolate(logits, scale_factor=8, mode="bilinear")
    size = (round(ROWS * 8 / made.scale), round(COLUMNS * 8 / made.scale))
    at_image: Float = F.interpolate(at_input, size, mode="bilinear")[0, 0].numpy()
    return at_image > 0


@pytest.mark.parametrize("scale", [1.0, 0.5, 0.25, 2.0])
def test_a_mask_in_its_window_differs_from_that_of_the_whole_image(scale: float) -> None:
    height, width = round(96 / scale), round(128 / scale)
    boxes = [[0, 0, width, height], [0.3 * width, 0.2 * height, 0.6 * width, 0.9 * height], [0.9 * width, 1, width, 9]]
    made = masks(boxes, (height, width), scale)
    for person, window in enumerate(made()):
        assert window is not None
        (x, y), (rows, columns) = window.origin, window.bitmap.shape
        expected = plain(made, person)[y : y + rows, x : x + columns]
        assert (window.bitmap != expected).sum() <= 1
        assert (x, y) == (int(boxes[person][0]), int(boxes[person][1]))


def test_a_box_outside_of_the_image_gets_a_mask() -> None:
    outside, inside = masks([[200, 10, 220, 50], [10, 10, 20, 20]], (96, 128))()
    assert outside is None
    assert inside is not None and inside.bitmap.shape == (10, 10)


def test_a_box_of_less_than_a_pixel_has_none() -> None:
    (window,) = masks([[10.2, 10.2, 10.4, 10.4]], (96, 128))()
    assert window is not None and window.bitmap.shape == (1, 1)


def test_no_people_are_too_few() -> None:
    assert masks([], (96, 128))() == []


def test_a_frame_a_little_larger_than_the_prototypes_cover_overflows_them() -> None:
    (window,) = masks([[0, 0, 131, 99]], (99, 131))()
    assert window is not None and window.bitmap.shape == (99, 131)
