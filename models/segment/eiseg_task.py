"""The segmenter around EISeg: images, boxes and keypoints in, the mask of everybody out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.layers import fuse
from models.segment import roi
from models.segment.clicks import prompt
from models.segment.eiseg import EISeg, load_pdiparams
from models.serving import Compile, Weights, random_network
from models.tasks import Float, Image, TensorRunner, Window

SIZE = 256
"""Height and width of the network's input, pixels."""

SIDE_PER_BOX = 1.4
"""Side of the crop per longer side of the box."""

MARGIN = 0.05
"""A mask ends at so much of the box's width and height beyond it."""


@dataclass(frozen=True)
class EISegSegmenter:
    """Serves `models.tasks.Segmenter` with an EISeg, which is clicked on by the keypoints.

    A mask is where the network is surer than not (logit above 0), cut to the person's box and 5 % around it. Its score
    is the mean probability inside.

    Attributes:
        run: the compiled network: pixels and clicks in, logits out, see `EISeg.forward`.
        max_batch: persons per call of the network.
    """

    run: TensorRunner
    max_batch: int = 8

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image float32 [N, 17, 3], COCO order, in its pixels; score 0 = not estimated.

        Returns:
            Of each image N windows; None for a person of whose box no pixel lies in the image.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        people = [person for number, image in enumerate(images) for person in _people(number, image, boxes[number])]
        for first in range(0, len(people), self.max_batch):
            batch = people[first : first + self.max_batch]
            crops = np.empty((len(batch), SIZE, SIZE, 3), np.uint8)
            clicks = np.empty((len(batch), 2, SIZE, SIZE), np.float32)
            for person, crop, disks in zip(batch, crops, clicks, strict=True):
                roi.cut(images[person.image], person.region, crop)
                prompt(boxes[person.image], keypoints[person.image], person.row, person.region, SIZE, disks)
            logits = self.run(crops, clicks)[0][:, 0]
            for person, of_crop, score in zip(batch, logits, roi.mean_probability(logits), strict=True):
                bitmap = roi.paste(of_crop, person.region, person.window)
                found[person.image][person.row] = Window(bitmap, person.window[:2], float(score))
        return found


class _Person(NamedTuple):
    """Row `row` of image number `image`: the region, crop to image, and the window that the mask is cut to."""

    image: int
    row: int
    region: roi.Double
    window: roi.Rectangle


def _people(number: int, image: Image, boxes: Float) -> Iterator[_Person]:
    height, width = image.shape[:2]
    boxes = np.where(np.isfinite(boxes).all(1, keepdims=True), boxes, 0)
    sizes = boxes[:, 2:] - boxes[:, :2]
    margin = (np.concatenate([-sizes, sizes], 1) * MARGIN).astype(np.float32)
    windows = roi.windows(boxes + margin, width, height)
    scales = SIDE_PER_BOX * sizes.max(1, initial=0).astype(np.float64) / SIZE
    shifts = (boxes[:, :2] + boxes[:, 2:]) / 2 - scales[:, None] * (SIZE - 1) / 2
    usable = (sizes > 0).all(1) & (windows[:, 2:] > windows[:, :2]).all(1)
    for row in np.flatnonzero(usable).tolist():
        left, top, right, bottom = windows[row].tolist()
        region = np.array([[scales[row], 0, shifts[row, 0]], [0, scales[row], shifts[row, 1]]])
        yield _Person(number, row, region, (left, top, right, bottom))


def eiseg_segmenter(weights: Weights, compile_network: Compile) -> EISegSegmenter:
    """A segmenter with the weights of PaddleSeg.

    Raises:
        CheckpointError: the file does not hold an EISeg.
    """

    def make() -> Source:
        network = fuse(load_eiseg(weights))
        return Source(FromPixels(network, network.pixels), (Input.pixels(SIZE, SIZE), Input((2, SIZE, SIZE))))

    return EISegSegmenter(compile_network(make).run)


def load_eiseg(weights: Weights) -> EISeg:
    """The network, not fused."""
    network = random_network(EISeg)
    if weights.path is not None:
        load_pdiparams(network, weights.path)
    return network
