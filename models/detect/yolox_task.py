"""The detector around YOLOX: images in, the boxes of the persons in them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models import agreement
from models.backends.base import Input, Source
from models.backends.device_runner import DeviceRunner
from models.detect.grid import STRIDES, grid
from models.detect.letterbox import letterbox
from models.detect.nms import best_people
from models.detect.scores import sigmoid
from models.serving import PERSON, Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Detector, Float, Image, Runner

if TYPE_CHECKING:
    from models.detect.yolox import YOLOX

_XY, _WH, _OBJECTNESS, _PERSON = slice(0, 2), slice(2, 4), 4, 5
"""Where `YOLOX.forward` puts what; the person is the first class."""

_LARGEST = 10.0
"""Bound of the logarithm of a size in cells: larger than any image, and its exponential is finite."""


@dataclass(frozen=True)
class YOLOXDetector:
    """Serves `models.tasks.Detector` with a YOLOX.

    Attributes:
        run: the compiled network; its only output is as `YOLOX.forward` describes it.
        size: height and width of its input, pixels; multiples of 32.
        score: the lowest score, sigmoid(person) x sigmoid(objectness), that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
    """

    run: Runner
    size: tuple[int, int]
    score: float = 0.1
    nms_iou: float = 0.65
    max_people: int = 100

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """The persons in each of `images`, uint8 [H, W, 3] BGR of any sizes, through the network as one batch."""
        if not images:
            return []
        pixels, scales = letterbox(images, self.size)
        (raw,) = self.run(pixels)
        scores = sigmoid(raw[..., _PERSON]) * sigmoid(raw[..., _OBJECTNESS])
        rows, anchors = np.nonzero(scores >= self.score)
        scores, xyxy = scores[rows, anchors], decode(raw[rows, anchors], anchors, self.size)
        bounds = np.searchsorted(rows, np.arange(len(images) + 1))
        return [
            best_people(xyxy[first:last] / scale, scores[first:last], image.shape[:2], self.nms_iou, self.max_people)
            for image, scale, first, last in zip(images, scales, bounds[:-1], bounds[1:], strict=True)
        ]


def yolox_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> Detector:
    """A detector with the weights of Megvii or OpenMMLab, as published or exported to ONNX.

    In bfloat16 it loses .001 AP of persons, docs/models.md has the figures.

    Raises:
        CheckpointError: the file does not hold a YOLOX.
    """

    def make() -> Source:
        from models.backends.pixels import FromPixels

        network = load_yolox(weights).keep_classes([PERSON]).fuse()
        judge = partial(_objection, options.size)
        return Source(FromPixels(network, network.pixels), (Input.pixels(*options.size),), judge)

    ready = compile_network(make, size=options.size, lowest="bfloat16")
    settings = options.size, options.score, options.nms_iou, options.max_people
    if isinstance(ready.run, DeviceRunner):
        from models.device.yolox_task import YOLOXOnDevice

        return YOLOXOnDevice(ready.run, *settings)
    return YOLOXDetector(ready.run, *settings)


def load_yolox(weights: Weights) -> YOLOX:
    """The network, answering for all the classes of its file."""
    from models.detect.yolox import SCALES, YOLOX
    from models.formats import onnx, pth

    if weights.path is None:
        return random_network(lambda: YOLOX(SCALES[str(weights.entry.arguments["scale"])]))
    if weights.format == "onnx":
        return YOLOX.from_onnx(onnx.read(weights.path))
    return YOLOX.from_checkpoint(pth.read(weights.path))


def _objection(size: tuple[int, int], outputs: tuple[Float, ...], reference: tuple[Float, ...]) -> str:
    """A `models.backends.base.Judge` of the boxes."""
    raw, truth = outputs[0], reference[0]
    rows, anchors = np.nonzero(sigmoid(truth[..., _PERSON]) * sigmoid(truth[..., _OBJECTNESS]) >= agreement.SURE)
    places, expected = (decode(of[rows, anchors], anchors, size) for of in (raw, truth))
    return agreement.moved("boxes", places, expected)


def decode(raw: Float, anchors: npt.NDArray[np.intp], size: tuple[int, int]) -> Float:
    """Boxes from raw predictions (Ge et al., 2021, section 2.3).

    Args:
        raw: float32 [N, 5 + classes], rows of the output of `YOLOX.forward`.
        anchors: [N], their numbers.
        size: height and width of the network's input, pixels.

    Returns:
        float32 [N, 4], x1, y1, x2, y2 in pixels of the network's input.
    """
    cells, strides = grid(size, STRIDES)
    stride = strides[anchors]
    centres = (raw[:, _XY] + cells[anchors]) * stride
    halves = np.exp(np.minimum(raw[:, _WH], _LARGEST)) * stride / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)
