from __future__ import annotations

import numpy as np
import pytest

from models.device.atlas import Atlas
from models.device.crops import cut, cut_regions
from models.pose.crops import Crops
from models.segment import roi
from models.tasks import Float, Image
from tests.models.device.running import CPU, EXACT, Waits, street
from tests.models.segment.people import boxes_of, standing

SIZE = (256, 192)

LEVELS_OFF = 1 if EXACT else 8

SHAPES = [(576, 768), (64, 64), (8, 2000), (2160, 300), (1, 1)]


def noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def scattered(shape: tuple[int, int], count: int) -> Float:
    """Boxes in and around an image of this shape."""
    random = np.random.default_rng(1)
    centres = random.uniform(-0.2, 1.2, (count, 2)) * shape[::-1]
    halves = random.uniform(0, 0.3, (count, 2)) * shape[::-1]
    return np.concatenate([centres - halves, centres + halves], axis=1).astype(np.float32)


def off(ours: Image, theirs: Image) -> int:
    return int(np.abs(ours.astype(int) - theirs).max(initial=0))


def test_a_crop_is_not_what_the_processor_cuts() -> None:
    images = [noise(*shape) for shape in SHAPES]
    owners = np.arange(60) % len(images)
    boxes = np.stack([scattered(SHAPES[owner], 60)[row] for row, owner in enumerate(owners)])
    crops = Crops.around(boxes, SIZE, 1.25)
    ours = cut(Atlas.of(images, CPU), owners, crops).numpy()
    assert off(ours, crops.cut([images[owner] for owner in owners])) <= LEVELS_OFF


def test_beyond_the_image_lies_the_next_image_of_the_batch() -> None:
    images = [np.full((100, 100, 3), level, np.uint8) for level in (40, 255, 200)]
    boxes = np.array([(-60, 20, 0, 100), (120, 10, 180, 90), (10, 5000, 20, 5060), (-500, -500, -400, -300)])
    crops = cut(Atlas.of(images, CPU), np.ones(4, np.intp), Crops.around(boxes.astype(np.float32), SIZE, 1.25)).numpy()
    assert crops[0, 128, 0].tolist() == [0, 0, 0]
    assert crops[0, 128, 191].tolist() == [255, 255, 255]
    assert not crops[1:].any()


def test_a_picture_on_the_device_is_cut_elsewhere() -> None:
    image = street(200, 300)
    crops = Crops.around(scattered((200, 300), 8), SIZE, 1.25)
    atlas = Atlas.of([np.asarray(image), image], CPU)
    zeros = np.zeros(8, np.intp)
    np.testing.assert_array_equal(cut(atlas, zeros, crops).numpy(), cut(atlas, zeros + 1, crops).numpy())


def theirs_of(images: list[Image], owners: list[int], regions: roi.Double, size: int) -> Image:
    out = np.empty((len(owners), size, size, 3), np.uint8)
    for crop, owner, region in zip(out, owners, regions, strict=True):
        roi.cut(images[owner], region, crop)
    return out


@pytest.mark.parametrize("degrees", [0, 30, 90, -135])
def test_a_turned_region_is_not_what_the_processor_cuts(degrees: float) -> None:
    images = [noise(*shape) for shape in SHAPES]
    owners, people = [], []
    for owner, (height, width) in enumerate(SHAPES):
        for x, y, size in ((0.5, 0.5, 0.6), (0, 0, 1), (1, 0.4, 0.3), (0.5, 1, 3)):
            owners.append(owner)
            people.append(standing((x * width, y * height), max(size * height, 3), degrees))
    keypoints = np.array(people)
    regions = roi.regions(boxes_of(keypoints), keypoints, 256)
    ours = cut_regions(Atlas.of(images, CPU), np.array(owners), regions, 256).numpy()
    assert off(ours, theirs_of(images, owners, regions, 256)) <= LEVELS_OFF


@pytest.mark.parametrize("middle", [(-1e5, 50), (50, 1e5), (-40, -40)])
def test_a_region_outside_of_the_image_shows_another_image(middle: tuple[float, float]) -> None:
    images = [np.full((100, 100, 3), level, np.uint8) for level in (7, 99)]
    person = standing(middle, 60)[None]
    regions = roi.regions(boxes_of(person), person, 64)
    assert (cut_regions(Atlas.of(images, CPU), np.array([1]), regions, 64) == 99).all()


def test_they_make_the_host_wait() -> None:
    atlas = Atlas.of([noise(50, 50)], CPU)
    person = standing((20, 20), 30)[None]
    with Waits() as waits:
        cut(atlas, np.zeros(1, np.intp), Crops.around(boxes_of(person), SIZE, 1.25))
        cut_regions(atlas, np.zeros(1, np.intp), roi.regions(boxes_of(person), person, 64), 64)
    assert waits.noted == []
