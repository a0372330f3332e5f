"""The detector around YOLOv3: images in, the boxes of the persons in them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.grid import grid
from models.detect.letterbox import place
from models.detect.nms import best_people
from models.detect.scores import sigmoid
from models.detect.yolov3 import ANCHORS, ATTRIBUTES, VARIANTS, YOLOV3, Variant
from models.formats import darknet, pth
from models.serving import PERSON, Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Float, Image, Runner

_XY, _WH, _OBJECTNESS, _PERSON = slice(0, 2), slice(2, 4), 4, ATTRIBUTES
"""Where `YOLOV3.forward` puts what; the person is the first class."""

_LARGEST = 6.0
"""Bound of the logarithm of a size in anchors: 400 of them, larger than any image."""


@dataclass(frozen=True, slots=True)
class Padding:
    """Where an image lies in the network's input, and the grey level of what it does not cover."""

    level: int
    centred: bool


DARKNET = Padding(127, centred=True)
"""As darknet does it."""

OPENMMLAB = Padding(0, centred=False)
"""As OpenMMLab's configurations of YOLOv3 do it."""


@dataclass(frozen=True)
class YOLOV3Detector:
    """Serves `models.tasks.Detector` with a YOLOv3.

    Attributes:
        run: the compiled network; its only output is as `YOLOV3.forward` describes it.
        variant: of the network.
        size: height and width of its input, pixels; multiples of 32.
        padding: what it was trained with.
        score: the lowest score, sigmoid(person) x sigmoid(objectness), that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
    """

    run: Runner
    variant: Variant
    size: tuple[int, int]
    padding: Padding = DARKNET
    score: float = 0.1
    nms_iou: float = 0.45
    max_people: int = 100

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """The persons in each of `images`, uint8 [H, W, 3] BGR of any sizes, through the network as one batch."""
        if not images:
            return []
        pixels, scales, offsets = place(images, self.size, self.padding.level, centred=self.padding.centred)
        (raw,) = self.run(pixels)
        scores = sigmoid(raw[..., _PERSON]) * sigmoid(raw[..., _OBJECTNESS])
        rows, anchors = np.nonzero(scores >= self.score)
        scores, xyxy = scores[rows, anchors], decode(raw[rows, anchors], anchors, self.variant, self.size)
        xyxy = (xyxy - np.tile(offsets, 2)[rows]) / scales[rows, None]
        bounds = np.searchsorted(rows, np.arange(len(images) + 1))
        return [
            best_people(xyxy[first:last], scores[first:last], image.shape[:2], self.nms_iou, self.max_people)
            for image, first, last in zip(images, bounds[:-1], bounds[1:], strict=True)
        ]


def yolov3_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> YOLOV3Detector:
    """A detector with the weights of darknet or OpenMMLab.

    Raises:
        CheckpointError: the file does not hold this YOLOv3.
    """

    def make() -> Source:
        network = load_yolov3(weights).keep_classes([PERSON]).fuse()
        return Source(FromPixels(network, network.pixels), (Input.pixels(*options.size),))

    run = compile_network(make, size=options.size, lowest="bfloat16").run
    variant = VARIANTS[str(weights.entry.arguments["variant"])]
    padding = OPENMMLAB if weights.format == "pth" else DARKNET
    return YOLOV3Detector(run, variant, options.size, padding, options.score, options.nms_iou, options.max_people)


def load_yolov3(weights: Weights) -> YOLOV3:
    """The network, answering for all the classes of its file."""
    variant = VARIANTS[str(weights.entry.arguments["variant"])]
    if weights.path is None:
        return random_network(lambda: YOLOV3(variant))
    if weights.format == "darknet":
        return YOLOV3.from_darknet(variant, darknet.read(weights.path).values)
    return YOLOV3.from_checkpoint(variant, pth.read(weights.path))


def decode(raw: Float, anchors: npt.NDArray[np.intp], variant: Variant, size: tuple[int, int]) -> Float:
    """Boxes from raw predictions (Redmon and Farhadi, 2018, section 2.1).

    Args:
        raw: float32 [N, 5 + classes], rows of the output of `YOLOV3.forward`.
        anchors: [N], their numbers.
        variant: of the network.
        size: height and width of the network's input, pixels.

    Returns:
        float32 [N, 4], x1, y1, x2, y2 in pixels of the network's input.
    """
    cells, strides = grid(size, variant.strides)
    cell, number = np.divmod(anchors, ANCHORS)
    ends = np.cumsum([(size[0] // stride) * (size[1] // stride) for stride in variant.strides])
    level = np.searchsorted(ends, cell, side="right")
    centres = (sigmoid(raw[:, _XY]) + cells[cell]) * strides[cell]
    sizes = np.array(variant.anchors, np.float32)[level, number]
    halves = np.exp(np.minimum(raw[:, _WH], _LARGEST)) * sizes / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)
