"""From frames to people: rows stay with their frame, whatever the frames are like."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest
import torch

from models.backends import CompileSpec, Input
from models.backends.pixels import FromPixels
from models.backends.torch_cpu import TorchBackend
from models.detect.yolox import SCALES, YOLOX
from models.detect.yolox_task import YOLOXDetector
from models.pose.rtmpose import SCALES as POSE_SCALES
from models.pose.rtmpose import RTMPose
from models.pose.rtmpose_task import RTMPoseEstimator
from models.segment.blazepose import BlazePose
from models.segment.blazepose_task import BlazePoseSegmenter
from models.tasks import Boxes, Float, Image, Window
from stream.perception import Perception


class Marked:
    """Finds one person per white pixel column group: as many boxes as the first pixel's value says."""

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        return [self._boxes(int(image[0, 0, 0])) for image in images]

    def _boxes(self, count: int) -> Boxes:
        corner = np.arange(count, dtype=np.float32)[:, None].repeat(2, axis=1)
        return Boxes(np.hstack([corner, corner + 8]), np.linspace(1, 0.5, count, dtype=np.float32))


class AtCorner:
    """Puts all keypoints of a person on the top left corner of the box."""

    def __call__(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        return [
            np.concatenate([of[:, None, :2].repeat(17, axis=1), np.ones((len(of), 17, 1), np.float32)], axis=2)
            for of in boxes
        ]


class Filled:
    """A mask as large as the box; none for every second person."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        self.seen += [int(image[0, 0, 0]) for image in images]
        return [
            [
                None if i % 2 else Window(np.ones((8, 8), np.bool_), (int(x), int(y)))
                for i, (x, y, _, _) in enumerate(of)
            ]
            for of in boxes
        ]


def image(people: int) -> Image:
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[0, 0, 0] = people
    return picture


def test_people_end_up_in_another_frame_of_the_batch() -> None:
    perception = Perception(Marked(), AtCorner(), Filled())
    counts = [2, 0, 5, 1]
    everyone = perception([image(count) for count in counts], [True] * 4)
    assert [len(people) for people in everyone] == counts
    for people in everyone:
        assert (people.keypoints[:, 0, :2] == people.boxes[:, :2]).all()
        for i in range(len(people)):
            mask = people.rle(i)
            assert (mask is None) == (i % 2 == 1)
            assert mask is None or mask.origin == tuple(people.boxes[i, :2].astype(int))


def test_masks_are_made_where_nobody_asked() -> None:
    segmenter = Filled()
    people = Perception(Marked(), AtCorner(), segmenter)([image(1), image(2), image(3)], [False, True, False])
    assert segmenter.seen == [2]
    assert [bool(p.masks) for p in people] == [False, True, False]


def test_a_run_without_pose_and_masks_needs_them() -> None:
    (people,) = Perception(Marked())([image(3)], [True])
    assert len(people) == 3 and people.masks == () and (people.keypoints == 0).all()


class FindsAll(Marked):
    """A detector that finds keypoints and masks too; `made` says of which images masks were made."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        return [self._all(found) for found in super().__call__(images)]

    def _all(self, found: Boxes) -> Boxes:
        keypoints = np.full((len(found.xyxy), 17, 3), 0.5, np.float32)

        def masks() -> list[Window | None]:
            self.made.append(len(found.xyxy))
            return [Window(np.ones((4, 4), np.bool_), (0, 0))] * len(found.xyxy)

        return Boxes(found.xyxy, found.scores, keypoints, masks)


def test_what_a_detector_finds_beside_boxes_is_lost() -> None:
    detector = FindsAll()
    everyone = Perception(detector)([image(2), image(3)], [False, True])
    assert [len(people.masks) for people in everyone] == [0, 3]
    assert detector.made == [3], "masks were made that nobody asked for"
    assert all((people.keypoints == 0.5).all() for people in everyone)


def test_a_pose_or_mask_network_is_overruled_by_what_the_detector_finds() -> None:
    detector, segmenter = FindsAll(), Filled()
    (people,) = Perception(detector, AtCorner(), segmenter)([image(2)], [True])
    assert (people.keypoints[:, 0, :2] == people.boxes[:, :2]).all()
    assert detector.made == [] and segmenter.seen == [2]


@pytest.fixture(scope="module")
def tiny() -> Perception:
    """Random networks of real shape, run by eager PyTorch: real pre- and post-processing, meaningless answers."""
    torch.manual_seed(0)
    backend = TorchBackend()

    def runner(network: torch.nn.Module, height: int, width: int) -> object:
        spec = CompileSpec((Input.pixels(height, width),), "float32", 1)
        return backend.compile(FromPixels(network.eval(), network.pixels), spec)

    detector = YOLOX(SCALES["nano"], classes=1)
    for predictor in detector.bbox_head.multi_level_conv_obj:  # something in about every cell
        torch.nn.init.constant_(predictor.bias, 2.0)
    for predictor in detector.bbox_head.multi_level_conv_cls:
        torch.nn.init.constant_(predictor.bias, 2.0)
    return Perception(
        YOLOXDetector(runner(detector, 128, 128), (128, 128), score=0.3, nms_iou=0.99, max_people=60),  # type: ignore[arg-type]
        RTMPoseEstimator(runner(RTMPose(POSE_SCALES["t"]), 256, 192)),  # type: ignore[arg-type]
        BlazePoseSegmenter(runner(BlazePose(), 256, 256)),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("height", "width"), [(64, 64), (480, 640), (2160, 3840), (1, 900), (700, 3)])
def test_a_frame_of_an_unusual_size_breaks_a_stage(tiny: Perception, height: int, width: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (min(height, 64), min(width, 64), 3), np.uint8)
    picture = np.asarray(cv2.resize(noise, (width, height)), np.uint8)
    (people,) = tiny([picture], [True])
    assert people.frame_size == (height, width)
    assert (people.boxes >= 0).all() and (people.boxes[:, 2] <= width).all() and (people.boxes[:, 3] <= height).all()
    assert ((people.scores > 0) & (people.scores <= 1)).all()
    assert np.isfinite(people.keypoints).all()
    assert ((people.keypoints[..., 2] >= 0) & (people.keypoints[..., 2] <= 1)).all()
    for i in range(len(people)):
        mask = people.rle(i)
        if mask is not None:
            (x, y), (h, w) = mask.origin, mask.size
            assert x >= 0 and y >= 0 and x + w <= width and y + h <= height


def test_sixty_people_do_not_fit_into_the_pose_batch(tiny: Perception) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    crowd, nobody = tiny([noise, np.zeros((480, 640, 3), np.uint8)], [True, False])
    assert len(crowd) == 60
    assert crowd.keypoints.shape == (60, 17, 3) and len(crowd.masks) == 60
    assert nobody.masks == ()


def test_frames_of_a_batch_influence_each_other(tiny: Perception) -> None:
    random = np.random.default_rng(2)
    pictures = [random.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((90, 120), (200, 64), (64, 64))]
    together = tiny(pictures, [False] * 3)
    for picture, people in zip(pictures, together, strict=True):
        (alone,) = tiny([picture], [False])
        assert len(alone) == len(people)
        assert np.allclose(alone.boxes, people.boxes, atol=1e-2)


class Twins:
    """Finds two boxes whose keypoints are the same person's, and somebody else."""

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        xyxy = np.array([[0, 0, 20, 40], [1, 0, 22, 41], [60, 0, 80, 40]], np.float32)
        points = np.random.default_rng(0).uniform(2, 18, (1, 17, 3)).astype(np.float32).repeat(3, axis=0)
        points[..., 2] = 0.9
        points[2, :, 0] += 60
        windows: list[Window | None] = [Window(np.ones((4, 4), np.bool_), (x, 0)) for x in (0, 1, 60)]
        scores = np.array([0.7, 0.9, 0.5], np.float32)
        return [Boxes(xyxy, scores, points, lambda: windows) for _ in images]


def test_one_person_is_found_twice_with_one_pose() -> None:
    (people,) = Perception(Twins(), same_pose=0.9)([image(0)], [True])
    assert people.boxes[:, 0].tolist() == [1, 60], "not the more certain one of the two"
    assert [mask.origin[0] for mask in people.masks if mask] == [1, 60], "masks of other people"
    (all_,) = Perception(Twins())([image(0)], [True])
    assert len(all_) == 3
