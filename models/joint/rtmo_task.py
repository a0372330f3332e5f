"""The detector around RTMO: images in, the boxes and keypoints of the persons in them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.grid import grid
from models.detect.letterbox import letterbox
from models.detect.nms import best_rows
from models.detect.scores import sigmoid
from models.formats import pth
from models.joint.dcc import DCC, PADDING
from models.joint.rtmo import RTMO, SCALES, STRIDES
from models.serving import COCO_KEYPOINTS, Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Float, Image, Runner, TensorRunner

_XY, _WH, _SCORE, _VISIBLE = slice(0, 2), slice(2, 4), 4, slice(5, 5 + COCO_KEYPOINTS)
"""Where `RTMO.forward` puts what."""

_LARGEST = 10.0
"""Bound of the logarithm of a size in cells: larger than any image, and its exponential is finite."""


@dataclass(frozen=True)
class RTMODetector:
    """Serves `models.tasks.Detector` with an RTMO, and gives keypoints.

    Attributes:
        run: the compiled network; its two outputs are as `RTMO.forward` describes them.
        locate: its compiled second part, as `DCC.forward` describes it.
        size: height and width of the input, pixels; multiples of 32.
        score: the lowest score that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
        max_batch: persons per call of `locate`.
    """

    run: Runner
    locate: TensorRunner
    size: tuple[int, int]
    score: float = 0.1
    nms_iou: float = 0.65
    max_people: int = 100
    max_batch: int = 32

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """The persons in each of `images`, uint8 [H, W, 3] BGR of any sizes, through the network as one batch.

        The score of a keypoint is how sure the network is to see it. Persons of all images share the calls of `locate`.
        """
        if not images:
            return []
        pixels, scales = letterbox(images, self.size)
        raw, poses = self.run(pixels)
        scores = sigmoid(raw[..., _SCORE])
        kept, boxes = [], []
        for number, (image, scale) in enumerate(zip(images, scales, strict=True)):
            anchors = np.flatnonzero(scores[number] >= self.score)
            centres, sizes = decode(raw[number, anchors], anchors, self.size)
            candidates = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) / scale
            rows, xyxy = best_rows(candidates, scores[number, anchors], image.shape[:2], self.nms_iou, self.max_people)
            kept.append(anchors[rows])
            boxes.append(xyxy)
        owners = np.repeat(np.arange(len(images)), [len(of_image) for of_image in kept])
        anchors = np.concatenate(kept)
        keypoints = self._keypoints(raw[owners, anchors], poses[owners, anchors], anchors)
        keypoints[..., :2] /= scales[owners, None, None]
        starts = np.searchsorted(owners, np.arange(1, len(images)))
        return [
            Boxes(xyxy, scores[number, of_image], keypoints=of_people)
            for number, (xyxy, of_image, of_people) in enumerate(
                zip(boxes, kept, np.split(keypoints, starts), strict=True)
            )
        ]

    def _keypoints(self, raw: Float, poses: Float, anchors: npt.NDArray[np.intp]) -> Float:
        """Of these rows of the two outputs: float32 [N, 17, 3], pixels of the input."""
        centres, sizes = decode(raw, anchors, self.size)
        points = _points(anchors, self.size)
        regions = np.concatenate([centres - points, sizes * PADDING], axis=1).astype(np.float32)
        keypoints = np.empty((len(raw), COCO_KEYPOINTS, 3), np.float32)
        for first in range(0, len(raw), self.max_batch):
            batch = slice(first, first + self.max_batch)
            (relative,) = self.locate(poses[batch], regions[batch])
            keypoints[batch, :, :2] = relative + points[batch, None]
        keypoints[..., 2] = sigmoid(raw[:, _VISIBLE])
        return keypoints


def rtmo_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> RTMODetector:
    """A detector that gives keypoints, with the weights of OpenMMLab.

    Raises:
        CheckpointError: the file does not hold an RTMO for the keypoints of COCO.
    """

    @cache
    def parts() -> tuple[RTMO, DCC]:
        return load_rtmo(weights).fuse().parted()

    def network() -> Source:
        network, _ = parts()
        return Source(FromPixels(network, network.pixels), (Input.pixels(*options.size),))

    def dcc() -> Source:
        network, dcc = parts()
        return Source(dcc, (Input((network.vector,)), Input((4,))))

    run = compile_network(network, size=options.size).run
    locate = compile_network(dcc, part="dcc").run
    return RTMODetector(run, locate, options.size, options.score, options.nms_iou, options.max_people)


def load_rtmo(weights: Weights) -> RTMO:
    """The network of the file, or of the size that the zoo says."""
    if weights.path is None:
        return random_network(lambda: RTMO(SCALES[str(weights.entry.arguments["scale"])]))
    return RTMO.from_checkpoint(pth.read(weights.path))


def decode(raw: Float, anchors: npt.NDArray[np.intp], size: tuple[int, int]) -> tuple[Float, Float]:
    """Boxes from raw predictions.

    Args:
        raw: float32 [N, 5 + 17], rows of the first output of `RTMO.forward`.
        anchors: [N], their numbers.
        size: height and width of the network's input, pixels.

    Returns:
        float32 [N, 2], the centres x, y, and float32 [N, 2], width and height, in pixels of the network's input.
    """
    _, strides = grid(size, STRIDES)
    centres = raw[:, _XY] * strides[anchors] + _points(anchors, size)
    sizes = np.exp(np.minimum(raw[:, _WH], _LARGEST)) * strides[anchors]
    return centres, sizes


def _points(anchors: npt.NDArray[np.intp], size: tuple[int, int]) -> Float:
    """Where these anchors lie: float32 [N, 2], the middle pixel of their cells."""
    cells, strides = grid(size, STRIDES)
    points: Float = cells[anchors] * strides[anchors] + (strides[anchors] - 1) * np.float32(0.5)
    return points
