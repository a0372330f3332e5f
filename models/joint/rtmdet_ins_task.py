"""The detector around RTMDet-Ins: images in, the boxes of the persons in them out, and their masks when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.grid import STRIDES, grid
from models.detect.letterbox import letterbox
from models.detect.nms import best_rows
from models.detect.rtmdet import SCALES
from models.detect.rtmdet_task import PERSON_LOGIT, decode
from models.detect.scores import sigmoid
from models.formats import pth
from models.joint.dynamic_masks import DynamicMasks
from models.joint.rtmdet_ins import RTMDetIns
from models.serving import PERSON, Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Image, Runner


@dataclass(frozen=True)
class RTMDetInsDetector:
    """Serves `models.tasks.Detector` with an RTMDet-Ins, and gives masks.

    Attributes:
        run: the compiled network; its three outputs are as `RTMDetIns.forward` describes them.
        size: height and width of its input, pixels; multiples of 32.
        score: the lowest score that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
    """

    run: Runner
    size: tuple[int, int]
    score: float = 0.1
    nms_iou: float = 0.6
    max_people: int = 100

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """The persons in each of `images`, uint8 [H, W, 3] BGR of any sizes, through the network as one batch."""
        if not images:
            return []
        pixels, scales = letterbox(images, self.size)
        raw, kernels, prototypes = self.run(pixels)
        scores = sigmoid(raw[..., PERSON_LOGIT])
        cells, strides = grid(self.size, STRIDES)
        found = []
        for number, (image, scale) in enumerate(zip(images, scales.tolist(), strict=True)):
            size = (image.shape[0], image.shape[1])
            anchors = np.flatnonzero(scores[number] >= self.score)
            candidates = decode(raw[number, anchors], anchors, self.size) / np.float32(scale)
            rows, xyxy = best_rows(candidates, scores[number, anchors], size, self.nms_iou, self.max_people)
            kept = anchors[rows]
            points = cells[kept] * strides[kept]
            masks = DynamicMasks(kernels[number, kept], points, strides[kept], prototypes[number], xyxy, scale, size)
            found.append(Boxes(xyxy, scores[number, kept], masks=masks))
        return found


def rtmdet_ins_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> RTMDetInsDetector:
    """A detector that gives masks, with the weights of OpenMMLab.

    Raises:
        CheckpointError: the file does not hold an RTMDet-Ins.
    """

    def make() -> Source:
        network = load_rtmdet_ins(weights).keep_classes([PERSON]).fuse()
        return Source(FromPixels(network, network.pixels), (Input.pixels(*options.size),))

    run = compile_network(make, size=options.size).run
    return RTMDetInsDetector(run, options.size, options.score, options.nms_iou, options.max_people)


def load_rtmdet_ins(weights: Weights) -> RTMDetIns:
    """The network, answering for all the classes of its file."""
    if weights.path is None:
        return random_network(lambda: RTMDetIns(SCALES[str(weights.entry.arguments["scale"])]))
    return RTMDetIns.from_checkpoint(pth.read(weights.path))
