"""The segmenter around BlazePose: images, boxes and keypoints in, the mask of everybody out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models import agreement
from models.backends.base import Input, Source
from models.backends.device_runner import DeviceRunner
from models.segment import roi
from models.serving import Compile, Weights, random_network
from models.tasks import Float, Image, Runner, Segmenter, Window

if TYPE_CHECKING:
    from models.segment.blazepose import BlazePose

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BlazePoseSegmenter:
    """Serves `models.tasks.Segmenter` with a BlazePose, on regions that come from keypoints known already.

    A mask is where the network is surer than not (logit above 0), cut to the person's box. Its score is the mean
    probability inside; multiplied with the person's own it ranks masks a little better than that alone: a mask AP of
    .305 instead of .301 on 85 images of COCO val2017.

    Attributes:
        run: the compiled network; its output is as `BlazePose.forward` describes it.
        size: height and width of its input, pixels; a square.
        max_batch: persons per call of the network.
    """

    run: Runner
    size: tuple[int, int] = (256, 256)
    max_batch: int = 2  # more are no faster on a processor, and each takes 15 to 30 MB

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image float32 [N, 17, 3], COCO order, in its pixels; score 0 = not estimated.

        Returns:
            Of each image N windows; None for a person without a region, because no pixel of the image lies in the box.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        people = [
            person
            for number, of_image in enumerate(zip(images, boxes, keypoints, strict=True))
            for person in _people(number, *of_image, self.size[0])
        ]
        if missing := sum(map(len, boxes)) - len(people):
            _log.debug("no region for the masks of %d people", missing)
        for first in range(0, len(people), self.max_batch):
            batch = people[first : first + self.max_batch]
            crops = np.empty((len(batch), *self.size, 3), np.uint8)
            for person, crop in zip(batch, crops, strict=True):
                roi.cut(images[person.image], person.region, crop)
            logits = self.run(crops)[0][:, 0]
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


def _people(number: int, image: Image, boxes: Float, keypoints: Float, size: int) -> Iterator[_Person]:
    height, width = image.shape[:2]
    regions = roi.regions(boxes, keypoints, size)
    windows = roi.windows(boxes, width, height)
    usable = np.isfinite(regions).all((1, 2)) & (windows[:, 2:] > windows[:, :2]).all(1)
    for row in np.flatnonzero(usable).tolist():
        left, top, right, bottom = windows[row].tolist()
        yield _Person(number, row, regions[row], (left, top, right, bottom))


def blazepose_segmenter(weights: Weights, compile_network: Compile) -> Segmenter:
    """A segmenter with the weights of MediaPipe.

    In bfloat16 its masks agree with their float32 form at an IoU of only .92, docs/models.md has the figures.

    Raises:
        CheckpointError: the file does not hold a BlazePose.
    """

    def make() -> Source:
        from models.backends.pixels import FromPixels

        network = load_blazepose(weights)
        return Source(FromPixels(network, network.pixels), (Input.pixels(*BlazePoseSegmenter.size),), _objection)

    run = compile_network(make).run
    if isinstance(run, DeviceRunner):
        from models.device.blazepose_task import BlazePoseOnDevice

        return BlazePoseOnDevice(run)
    return BlazePoseSegmenter(run)


def _objection(outputs: tuple[Float, ...], reference: tuple[Float, ...]) -> str:
    """A `models.backends.base.Judge` of the masks."""
    return agreement.overlapping(outputs[0][:, 0] > 0, reference[0][:, 0] > 0)


def load_blazepose(weights: Weights) -> BlazePose:
    """The network of the variant that the zoo says."""
    from models.segment.blazepose import BlazePose, load_tflite

    network = random_network(lambda: BlazePose(str(weights.entry.arguments.get("variant", "full"))))
    if weights.path is not None:
        load_tflite(network, weights.path)
    return network
