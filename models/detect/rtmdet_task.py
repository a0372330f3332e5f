"""The detector around RTMDet: images in, the boxes of the persons in them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.grid import STRIDES, grid
from models.detect.letterbox import letterbox
from models.detect.nms import best_people
from models.detect.rtmdet import SCALES, RTMDet
from models.detect.scores import sigmoid
from models.formats import pth
from models.serving import PERSON, Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Float, Image, Runner

DISTANCES, PERSON_LOGIT = slice(0, 4), 4
"""Where `RTMDet.forward` puts what; the person is the first class."""


@dataclass(frozen=True)
class RTMDetDetector:
    """Serves `models.tasks.Detector` with an RTMDet.

    Attributes:
        run: the compiled network; its only output is as `RTMDet.forward` describes it.
        size: height and width of its input, pixels; multiples of 32.
        score: the lowest score that makes a person; above 0.
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
        scores = sigmoid(raw[..., PERSON_LOGIT])
        rows, anchors = np.nonzero(scores >= self.score)
        scores, xyxy = scores[rows, anchors], decode(raw[rows, anchors], anchors, self.size)
        bounds = np.searchsorted(rows, np.arange(len(images) + 1))
        return [
            best_people(xyxy[first:last] / scale, scores[first:last], image.shape[:2], self.nms_iou, self.max_people)
            for image, scale, first, last in zip(images, scales, bounds[:-1], bounds[1:], strict=True)
        ]


def rtmdet_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> RTMDetDetector:
    """A detector with the weights of OpenMMLab.

    Raises:
        CheckpointError: the file does not hold an RTMDet.
    """

    def make() -> Source:
        network = load_rtmdet(weights).keep_classes([PERSON]).fuse()
        return Source(FromPixels(network, network.pixels), (Input.pixels(*options.size),))

    run = compile_network(make, size=options.size).run
    return RTMDetDetector(run, options.size, options.score, options.nms_iou, options.max_people)


def load_rtmdet(weights: Weights) -> RTMDet:
    """The network, answering for all the classes of its file."""
    if weights.path is None:
        return random_network(lambda: RTMDet(SCALES[str(weights.entry.arguments["scale"])]))
    return RTMDet.from_checkpoint(pth.read(weights.path))


def decode(raw: Float, anchors: npt.NDArray[np.intp], size: tuple[int, int]) -> Float:
    """Boxes from raw predictions (Tian et al., "FCOS", 2019, section 3.1), cut off at the border of the input.

    Args:
        raw: float32 [N, 4 + classes], rows of the output of `RTMDet.forward`.
        anchors: [N], their numbers.
        size: height and width of the network's input, pixels.

    Returns:
        float32 [N, 4], x1, y1, x2, y2 in pixels of the network's input.
    """
    cells, strides = grid(size, STRIDES)
    points = cells[anchors] * strides[anchors]
    distances = raw[:, DISTANCES]
    xyxy = np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)
    # Its authors do so before they suppress what overlaps.
    inside: Float = np.clip(xyxy, 0, np.array([size[1], size[0], size[1], size[0]], np.float32))
    return inside
