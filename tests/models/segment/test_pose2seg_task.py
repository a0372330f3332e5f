"""From images, boxes and keypoints to masks with Pose2Seg: nobody gets another's, and nothing breaks the batch."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from models.backends import Input
from models.segment.pose2seg import Pose2Seg
from models.segment.pose2seg_task import Pose2SegSegmenter, load_pose2seg, pose2seg_segmenter
from models.segment.pose_templates import load_templates, save_templates
from models.tasks import Float, Image, Window
from tests.models.compiling import EagerCompile, weights_of
from tests.models.segment.people import boxes_of, standing
from tests.oracles.filled import fill
from tests.oracles.pose2seg_golden import GOLDEN, TILT, clusters, scene

NOBODY = (np.zeros((0, 4), np.float32), np.zeros((0, 17, 3), np.float32))


class White:
    """Both networks of a Pose2Seg to which whatever is brighter than grey is the person."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.people: list[int] = []

    def backbone(self, pixels: Image) -> tuple[Float, ...]:
        assert pixels.dtype == np.uint8 and pixels.shape[1:] == (512, 512, 3)
        self.frames.append(len(pixels))
        features = np.zeros((len(pixels), 128, 128, 8), np.float32)
        features[..., 0] = pixels[:, ::4, ::4, 1]
        return (features,)

    def segment(self, features: Float, skeletons: Float) -> tuple[Float, ...]:
        assert features.shape[1:] == (64, 64, 8) and skeletons.shape[1:] == (55, 64, 64)
        assert features.dtype == skeletons.dtype == np.float32
        self.people.append(len(features))
        person = (features[..., 0] - np.float32(127.5)) / np.float32(10)
        return (np.stack([-person, person], 1) / 2,)


def segmenter(network: White | None = None, max_batch: int = 4) -> Pose2SegSegmenter:
    network = network or White()
    return Pose2SegSegmenter(network.backbone, network.segment, load_templates(), max_batch)


def crowd(count: int, height: int = 480, width: int = 640) -> Float:
    """Keypoints of people side by side and in rows."""
    places = [((i % 10 + 0.5) * width / 10, (i // 10 + 0.5) * height / 6) for i in range(count)]
    return np.array([standing(place, height / 10) for place in places], np.float32).reshape(-1, 17, 3)


def the(window: Window | None) -> Window:
    assert window is not None
    return window


def test_an_empty_street_is_given_to_the_networks() -> None:
    network = White()
    assert segmenter(network)([], [], []) == []
    black = np.zeros((48, 64, 3), np.uint8)
    boxes, keypoints = NOBODY
    assert segmenter(network)([black, black], [boxes] * 2, [keypoints] * 2) == [[], []]
    assert network.frames == network.people == []


def test_an_image_without_people_goes_through_the_backbone() -> None:
    network = White()
    people = crowd(2)
    images = [np.full((480, 640, 3), grey, np.uint8) for grey in (0, 255, 0)]
    found = segmenter(network)(images, [NOBODY[0], boxes_of(people), NOBODY[0]], [NOBODY[1], people, NOBODY[1]])
    assert network.frames == [1]
    assert [len(windows) for windows in found] == [0, 2, 0]
    assert all(the(window).bitmap.all() for window in found[1])


def test_sixty_people_do_not_fit_into_the_batch() -> None:
    network = White()
    people = crowd(60)
    (windows,) = segmenter(network)([np.full((480, 640, 3), 255, np.uint8)], [boxes_of(people)], [people])
    assert network.people == [4] * 15
    assert all(the(window).bitmap.all() for window in windows)


def test_people_get_the_mask_of_somebody_else() -> None:
    """Every second person of every second image has a white square; images of other sizes in between."""
    images, everyone = [], []
    for number, (height, width) in enumerate([(480, 640), (100, 90), (960, 1280), (480, 640)]):
        people = crowd(20 if number % 2 == 0 else 0, height, width)
        image = np.zeros((height, width, 3), np.uint8)
        for person in people[::2]:
            x, y = person[11:13, :2].mean(0).astype(int)
            image[y - 12 : y + 13, x - 12 : x + 13] = 255
        images.append(image)
        everyone.append(people)
    boxes = [boxes_of(people) for people in everyone]
    found = segmenter(max_batch=7)(images, boxes, everyone)
    assert [len(windows) for windows in found] == [20, 0, 20, 0]
    for windows, people in zip(found, everyone, strict=True):
        for i, (window, person) in enumerate(zip(windows, people, strict=True)):
            x, y = person[11:13, :2].mean(0).astype(int) - the(window).origin
            assert the(window).bitmap[y, x] == (i % 2 == 0)
            if i % 2 == 1:
                assert not the(window).bitmap.any()


def test_people_of_a_batch_are_cut_from_the_first_image() -> None:
    person = standing((320, 240), 200)[None]
    white, black = (np.full((480, 640, 3), level, np.uint8) for level in (255, 0))
    found = segmenter()([black, white, black], [boxes_of(person)] * 3, [person] * 3)
    assert [bool(the(windows[0]).bitmap.any()) for windows in found] == [False, True, False]


@pytest.mark.parametrize("transposed", [False, True])
def test_an_image_does_not_lie_in_the_middle_of_the_input(transposed: bool) -> None:
    seen = []

    def backbone(pixels: Image) -> tuple[Float, ...]:
        seen.append(pixels[0, ..., 0].T if transposed else pixels[0, ..., 0])
        return White().backbone(pixels)

    person = standing((240, 240), 200)[None]
    image = np.full((640, 480, 3) if transposed else (480, 640, 3), 255, np.uint8)
    Pose2SegSegmenter(backbone, White().segment, load_templates())([image], [boxes_of(person)], [person])
    assert seen[0][66:446].min() == 255 and not seen[0][:63].any() and not seen[0][449:].any()


def test_a_mask_lies_beside_what_it_shows() -> None:
    """A white disc on a person of any size, turned or not, comes back in place to two pixels of the features."""
    for degrees, size, (height, width) in ((0, 200, (480, 640)), (50, 300, (720, 500)), (-90, 900, (1080, 1920))):
        person = standing((width / 2, height / 2), size / 2, degrees)
        y, x = np.mgrid[:height, :width]
        disc = np.hypot(x - width / 2, y - height / 2) < size / 5
        image = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, -1)
        box = np.array([[0, 0, width, height]], np.float32)
        ((window,),) = segmenter()([image], [box], [person[None]])
        bitmap = the(window).bitmap
        assert bitmap.shape == disc.shape
        assert (bitmap & disc).sum() / (bitmap | disc).sum() > 0.8  # of a disc of ten pixels of the features
        middle = np.argwhere(bitmap).mean(0) - (height / 2, width / 2)
        assert np.abs(middle).max() < 2 * 4 * max(height, width) / 512


def test_a_person_outside_of_the_image_takes_the_others_masks_along() -> None:
    people = np.array([standing((-500, 50), 100), standing((320, 240), 100), standing((320, 5000), 100)])
    boxes = boxes_of(people)
    boxes = np.concatenate([boxes, np.array([[50, 50, 50, 50], [90, 90, 80, 80], [np.nan] * 4], np.float32)])
    people = np.concatenate([people, people])
    (windows,) = segmenter()([np.full((480, 640, 3), 255, np.uint8)], [boxes], [people])
    assert [window is not None for window in windows] == [False, True, False, False, False, False]


def test_a_person_without_a_visible_keypoint_gets_a_mask_of_anybody(caplog: pytest.LogCaptureFixture) -> None:
    people = np.repeat(standing((320, 240), 100)[None], 4, 0)
    people[0, :, 2] = 0
    people[1, :, 2] = 0.2
    people[2] = np.nan
    boxes = boxes_of(np.repeat(standing((320, 240), 100)[None], 4, 0))
    with caplog.at_level(logging.DEBUG, "models"):
        (windows,) = segmenter()([np.full((480, 640, 3), 255, np.uint8)], [boxes], [people])
    assert [window is not None for window in windows] == [False, False, False, True]
    assert "no pose for the masks of 3 people" in caplog.text


@pytest.mark.parametrize(("height", "width"), [(64, 64), (2160, 3840), (1, 900), (700, 3)])
def test_an_image_of_an_unusual_size_puts_a_mask_beside_it(height: int, width: int) -> None:
    people = np.array([standing((x * width, y * height), height) for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    boxes = boxes_of(people)
    (windows,) = segmenter()([np.full((height, width, 3), 255, np.uint8)], [boxes], [people])
    for window, (x1, y1, x2, y2) in zip(windows, boxes, strict=True):
        (x, y), (h, w) = the(window).origin, the(window).bitmap.shape
        assert the(window).bitmap.dtype == np.bool_
        assert 0 <= x < x + w <= width and 0 <= y < y + h <= height
        assert x >= np.floor(x1) and y >= np.floor(y1) and x + w <= np.ceil(x2) and y + h <= np.ceil(y2)


def test_an_unsure_mask_scores_as_high_as_a_sure_one() -> None:
    people = standing((320, 240), 200)[None]
    scores = []
    for grey in (0, 130, 255):
        ((window,),) = segmenter()([np.full((480, 640, 3), grey, np.uint8)], [boxes_of(people)], [people])
        scores.append(the(window).score)
    assert scores[0] == 0
    assert scores[1] == pytest.approx(1 / (1 + np.exp(-0.25)), abs=1e-3)
    assert scores[2] == pytest.approx(1, abs=1e-4)


def test_the_masks_are_not_the_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end on the same weights: letterbox, features, alignment, skeletons, mask; uncut, as the original is."""
    picture, people = scene()
    with np.load(GOLDEN) as golden:
        expected = np.unpackbits(golden["masks"]).reshape(2, *picture.shape[:2]).astype(bool)
    network = fill(Pose2Seg())
    with torch.no_grad():
        network.segnet.pred_small.bias[0] += TILT
    monkeypatch.setattr("models.segment.pose2seg_task.load_pose2seg", lambda weights: network)
    compiled = EagerCompile()
    task = pose2seg_segmenter(weights_of("pose2seg"), compiled)
    assert compiled.inputs["backbone"] == (Input.pixels(512, 512),)
    assert compiled.inputs["segment"] == (Input((64, 64, 256)), Input((55, 64, 64)))
    boxes = np.array([[0, 0, 320, 240]] * 2, np.float32)
    (windows,) = task([picture], [boxes], [people / (1, 1, 2)])
    for window, truth in zip(windows, expected, strict=True):
        assert 0.1 < truth.mean() < 0.9
        assert (the(window).bitmap != truth).mean() < 1e-3  # the border of a random network's mask is long


def test_templates_beside_the_weights_are_overlooked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = load_pose2seg(weights_of("pose2seg"))
    monkeypatch.setattr("models.segment.pose2seg_task.load_pose2seg", lambda weights: network)
    path = tmp_path / "mine.pkl"
    ours = pose2seg_segmenter(weights_of("pose2seg", path), EagerCompile()).templates
    assert len(ours.points) == 6
    save_templates(tmp_path / "mine.templates.json", clusters()[:1])
    with caplog.at_level(logging.INFO):
        theirs = pose2seg_segmenter(weights_of("pose2seg", path), EagerCompile()).templates
    assert len(theirs.points) == 2
    assert "pose2seg: pose templates from" in caplog.text
