"""The segmenter around Pose2Seg: images, boxes and keypoints in, the mask of everybody out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.scores import sigmoid
from models.formats import pth
from models.residual import fold
from models.segment import roi
from models.segment.affine_align import FEATURES, SQUARE, Double, align, sample
from models.segment.pose2seg import CHANNELS, FeaturesLast, FromAligned, Pose2Seg
from models.segment.pose_templates import PoseTemplates, load_templates
from models.segment.skeleton_maps import MAPS, skeleton_maps
from models.serving import Compile, Weights, random_network
from models.tasks import Bool, Float, Image, Runner, TensorRunner, Window

_log = logging.getLogger(__name__)

SIZE = 512
"""Height and width of the picture that the backbone sees, pixels."""

VISIBLE = 0.3
"""Score from which a keypoint is drawn and aligned. Pose2Seg was trained on labelled keypoints, all of them real."""

_SEEN = 2.0
"""COCO's flag of what is seen. A pose network says nothing of hidden keypoints, so all that are drawn have this one."""


@dataclass(frozen=True)
class Pose2SegSegmenter:
    """Serves `models.tasks.Segmenter` with a Pose2Seg, on keypoints that any pose network found.

    The backbone looks at every image once, the segment network at everybody in it. A mask is where the person is more
    probable than the background, cut to the person's box; its score is the mean probability inside.

    Attributes:
        backbone: its only output is as `FeaturesLast.forward` describes it.
        segment: its inputs and its only output are as `FromAligned.forward` describes them.
        templates: the poses that people are laid over.
        max_batch: persons per call of the segment network; what is sampled for four of them fits a processor's cache.
    """

    backbone: Runner
    segment: TensorRunner
    templates: PoseTemplates
    max_batch: int = 4

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image float32 [N, 17, 3], COCO order, in its pixels; score 0 = not estimated.

        Returns:
            Of each image N windows; None for a person of whom no keypoint is visible, or no pixel lies in the image.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        people = [
            person
            for number, of_image in enumerate(zip(images, boxes, keypoints, strict=True))
            for person in _people(number, *of_image)
        ]
        if missing := sum(map(len, boxes)) - len(people):
            _log.debug("no pose for the masks of %d people", missing)
        if not people:
            return found
        used = sorted({person.image for person in people})
        (features,) = self.backbone(_letterboxed([images[number] for number in used]))
        for first in range(0, len(people), self.max_batch):
            batch = people[first : first + self.max_batch]
            owners = np.searchsorted(used, [person.image for person in batch])
            matrices, probabilities = self._look(features, owners, np.stack([person.pose for person in batch]))
            for person, matrix, probability in zip(batch, matrices, probabilities, strict=True):
                to_square = _after(matrix, _to_features(images[person.image]))
                bitmap = paste(probability, to_square, person.window)
                found[person.image][person.row] = Window(bitmap, person.window[:2], _score(probability))
        return found

    def _look(self, features: Float, owners: npt.NDArray[np.intp], poses: Float) -> tuple[Double, Float]:
        """The matrices of people, features to square, and how probable each pixel of the square is theirs."""
        matrices = align(poses, self.templates)
        skeletons = skeleton_maps(_moved(poses, matrices), SQUARE)
        (logits,) = self.segment(sample(features, owners, matrices), skeletons)
        return matrices, sigmoid(logits[:, 1] - logits[:, 0])


class _Person(NamedTuple):
    """Row `row` of image number `image`: the pose in pixels of the features, and the window that the mask is cut to."""

    image: int
    row: int
    pose: Float
    window: roi.Rectangle


def _people(number: int, image: Image, boxes: Float, keypoints: Float) -> Iterator[_Person]:
    height, width = image.shape[:2]
    windows = roi.windows(boxes, width, height)
    visible = (keypoints[..., 2] >= VISIBLE) & np.isfinite(keypoints).all(-1)
    poses = np.zeros_like(keypoints)
    poses[visible, :2], poses[visible, 2] = keypoints[visible, :2], _SEEN
    poses = _moved(poses, _to_features(image)[None])
    usable = visible.any(1) & (windows[:, 2:] > windows[:, :2]).all(1)
    for row in np.flatnonzero(usable).tolist():
        left, top, right, bottom = windows[row].tolist()
        yield _Person(number, row, poses[row], (left, top, right, bottom))


def _to_input(image: Image) -> Double:
    """The matrix, float64 [2, 3], that puts an image in the middle of the backbone's input, as large as it fits."""
    height, width = image.shape[:2]
    scale = SIZE / max(height, width)
    return np.array([[scale, 0, SIZE / 2 - scale * width / 2], [0, scale, SIZE / 2 - scale * height / 2]])


def _to_features(image: Image) -> Double:
    return _to_input(image) * (FEATURES / SIZE)


def _letterboxed(images: Sequence[Image]) -> Image:
    """What the backbone sees, uint8 [B, SIZE, SIZE, 3]: bilinear, not smoothed, black beside, as in its training."""
    seen = np.empty((len(images), SIZE, SIZE, 3), np.uint8)
    for image, canvas in zip(images, seen, strict=True):
        cv2.warpAffine(image, _to_input(image), (SIZE, SIZE), dst=canvas, flags=cv2.INTER_LINEAR)
    return seen


def _moved(poses: Float, matrices: Double) -> Float:
    """Poses, float32 [N, 17, 3], in the coordinates that `matrices`, float64 [N or 1, 2, 3], lead to."""
    places = poses[..., :2] @ matrices[..., :2].swapaxes(-1, -2) + matrices[:, None, :, 2]
    return np.concatenate([places, poses[..., 2:]], -1).astype(np.float32)


def _after(second: Double, first: Double) -> Double:
    """The matrix, [2, 3], that does what `first` does, and then what `second` does."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def paste(probability: Float, to_square: Double, window: roi.Rectangle) -> Bool:
    """Where a person is more probable than not, in a window of the image: bool [h, w].

    Args:
        probability: float32 [S, S], of every pixel of the person's square.
        to_square: float64 [2, 3], pixels of the image to those of the square.
        window: left, top, right, bottom in the image; nothing else of it is looked at.
    """
    left, top, right, bottom = window
    shifted = np.column_stack([to_square[:, :2], to_square @ (left, top, 1)])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    inside: Bool = cv2.warpAffine(probability, shifted, (right - left, bottom - top), flags=flags) > 0.5
    return inside


def _score(probability: Float) -> float:
    """The mean probability inside of the mask; 0 for an empty one."""
    inside = probability[probability > 0.5]
    return float(inside.mean()) if inside.size else 0.0


def pose2seg_segmenter(weights: Weights, compile_network: Compile) -> Pose2SegSegmenter:
    """A segmenter with the weights of Pose2Seg's authors.

    They were trained with other pose templates than those that come with this package. A file of templates whose name
    is that of the weights with the suffix `.templates.json`, in the same folder, is used instead of ours.

    Raises:
        CheckpointError: the file does not hold a Pose2Seg, or the one beside it no templates.
    """

    @cache
    def network() -> Pose2Seg:
        return fold(load_pose2seg(weights))

    def backbone() -> Source:
        whole = network()
        return Source(FromPixels(FeaturesLast(whole.backbone), whole.pixels), (Input.pixels(SIZE, SIZE),))

    def segment() -> Source:
        inputs = Input((SQUARE, SQUARE, CHANNELS)), Input((MAPS, SQUARE, SQUARE))
        return Source(FromAligned(network().segnet), inputs)

    return Pose2SegSegmenter(
        compile_network(backbone, part="backbone").run,
        compile_network(segment, part="segment").run,
        _templates(weights),
    )


def load_pose2seg(weights: Weights) -> Pose2Seg:
    """The network of a file, or one of random weights.

    Raises:
        CheckpointError: the file does not hold a Pose2Seg.
    """
    if weights.path is None:
        return random_network(Pose2Seg)
    return Pose2Seg.from_checkpoint(pth.read(weights.path))


def _templates(weights: Weights) -> PoseTemplates:
    own = weights.path.with_suffix(".templates.json") if weights.path else None
    if own is None or not own.exists():
        return load_templates()
    _log.info("%s: pose templates from %s", weights.entry.name, own)
    return load_templates(own)
