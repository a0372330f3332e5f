from __future__ import annotations

import numpy as np
import pytest
import torch

from models.joint.personlab import TO_COCO, PersonLab
from models.joint.personlab_task import PersonLabDetector, extents, personlab_detector
from models.serving import DetectorOptions
from models.tasks import Boxes
from tests.models.compiling import EagerCompile, weights_of
from tests.models.joint.scenes import Scene, crowd, scene

SIZE = (401, 401)


def detector(*scenes: Scene, score: float = 0.3, max_people: int = 100) -> PersonLabDetector:
    """One whose network sees these scenes, whatever it is shown."""
    rows = tuple(np.stack(maps) for maps in zip(*(of.maps for of in scenes), strict=True))
    size = scenes[0].labels.shape
    return PersonLabDetector(lambda _pixels: rows, (size[0], size[1]), scenes[0].stride, score, max_people)


def picture(height: int = 401, width: int = 401) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def found(of: Scene, height: int = 401, width: int = 401) -> Boxes:
    return detector(of)([picture(height, width)])[0]


def truth(people: np.ndarray, scale: float = 1) -> np.ndarray:
    return ((people + 0.5) / scale - 0.5)[:, TO_COCO]


def test_no_images_give_nothing() -> None:
    assert detector(scene(crowd(1)))([]) == []


def test_an_image_without_people_gives_empty_arrays() -> None:
    boxes = found(scene(crowd(0)))
    assert boxes.xyxy.shape == (0, 4)
    assert boxes.scores.shape == (0,)
    assert boxes.keypoints is not None
    assert boxes.keypoints.shape == (0, 17, 3)
    assert boxes.masks is not None
    assert boxes.masks() == []


@pytest.mark.parametrize("factor", [1, 3])
def test_keypoints_boxes_and_masks_lie_where_the_people_are_in_the_image(factor: int) -> None:
    people = crowd(3, seed=3)
    of = scene(people, seed=3)
    boxes = found(of, 401 * factor, 401 * factor)
    assert boxes.keypoints is not None
    assert boxes.masks is not None
    away = np.linalg.norm(boxes.keypoints[:, None, :, :2] - truth(people, 1 / factor), axis=-1).mean(-1)
    owner = away.argmin(1)
    assert sorted(owner) == [0, 1, 2]
    assert (away.min(1) < 3 * factor).all()
    assert (boxes.scores > 0.7).all()
    for box, person, window in zip(boxes.xyxy, owner, boxes.masks(), strict=True):
        assert window is not None
        mask = np.zeros((401 * factor, 401 * factor), bool)
        x, y = window.origin
        height, width = window.bitmap.shape
        mask[y : y + height, x : x + width] = window.bitmap
        theirs = (of.labels == person).repeat(factor, 0).repeat(factor, 1)
        assert (mask & theirs).sum() / (mask | theirs).sum() > 0.6
        rows, columns = np.nonzero(mask)
        extent = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert (np.abs(box - extent) < 8 * factor).all()


def test_a_larger_image_has_every_keypoint_where_the_smaller_one_has_it() -> None:
    of = scene(crowd(3, seed=3), seed=3)
    small, large = (found(of, 401 * factor, 401 * factor).keypoints for factor in (1, 4))
    assert small is not None and large is not None and (small[..., 2] > 0).all()
    np.testing.assert_allclose(large[..., :2], (small[..., :2] + 0.5) * 4 - 0.5, atol=1e-3)


def test_each_image_of_a_batch_has_its_own_people() -> None:
    results = detector(scene(crowd(2, seed=1)), scene(crowd(0)), scene(crowd(5, seed=2)))([picture()] * 3)
    assert [len(boxes.xyxy) for boxes in results] == [2, 0, 5]


def test_sixty_people_are_found_and_the_best_are_kept() -> None:
    size = (641, 961)
    of = scene(crowd(60, size, 70, seed=60), size, stride=8, seed=60)
    everybody = detector(of, score=0.6)([picture(*size)])[0]
    assert 58 <= len(everybody.xyxy) <= 62
    assert (np.diff(everybody.scores) <= 0).all()
    assert len(detector(of, max_people=20)([picture(*size)])[0].xyxy) == 20


def test_somebody_below_the_score_is_left_out() -> None:
    half = crowd(1, height=300, seed=2) + np.array([0, 190])
    of = scene(half, seed=2)
    assert len(detector(of, score=0.1)([picture()])[0].xyxy) == 1
    assert len(detector(of, score=0.9)([picture()])[0].xyxy) == 0


def test_a_person_whom_the_border_cuts_stays_inside_of_the_image() -> None:
    boxes = found(scene(crowd(1, height=300, seed=2) + np.array([0, 190]), seed=2), 300, 401)
    assert len(boxes.xyxy) == 1
    assert (boxes.xyxy >= 0).all()
    assert (boxes.xyxy <= [401, 300, 401, 300]).all()
    assert boxes.keypoints is not None
    missing = boxes.keypoints[0, :, 2] == 0
    assert missing.any()
    assert not boxes.keypoints[0, missing].any()


def test_somebody_wholly_in_the_padding_is_dropped() -> None:
    below = crowd(1, height=150, seed=2) + np.array([0, 110])
    assert len(found(scene(below, seed=2), 150, 401).xyxy) == 0


def test_a_box_holds_the_keypoints_of_somebody_without_a_mask() -> None:
    people = np.zeros((1, 17, 3), np.float32)
    people[0, :5] = [[10, 20, 1], [30, 20, 1], [30, 60, 1], [20, 40, 1], [15, 30, 1]]
    assert extents(people, np.full((100, 100), -1, np.int16)).tolist() == [[10.5, 20.5, 30.5, 60.5]]


def test_the_network_gets_one_pixel_more_than_is_configured() -> None:
    compiler = EagerCompile()
    built = personlab_detector(weights_of("personlab-r152-running"), compiler, DetectorOptions((64, 96)))
    assert compiler.inputs[""][0].shape == (65, 97, 3)
    (boxes,) = built([np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)])
    assert boxes.xyxy.shape[1:] == (4,)


def test_random_batch_statistics_do_not_blow_up_rounding_errors() -> None:
    torch.manual_seed(0)
    network = PersonLab(16, "batch", units=(3, 8, 36, 3), width=8, features=64).eval()
    image = torch.rand(1, 3, 129, 129, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        single = network(image)
        double = network.double()(image.double())
    for ours, exact in zip(single, double, strict=True):
        assert torch.linalg.vector_norm(ours - exact) / torch.linalg.vector_norm(exact) < 1e-4


def test_decoding_leaves_the_threads_of_pytorch_as_they_were() -> None:
    before = torch.get_num_threads()
    during = []
    seen = detector(scene(crowd(1)))
    rows = seen.run(np.zeros((1, 401, 401, 3), np.uint8))

    def run(_pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        during.append(torch.get_num_threads())
        return rows

    PersonLabDetector(run, SIZE, 16)([picture()])
    assert [*during, torch.get_num_threads()] == [before, before]
