"""The detector around PersonLab: images in, people out with their keypoints, and their masks when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.letterbox import place
from models.errors import CheckpointError
from models.formats import tensorflow
from models.joint.decoding import Maps, confidence, hough, peaks
from models.joint.grouping import group
from models.joint.masks import NOBODY, label
from models.joint.personlab import TO_COCO, PersonLab, from_slim
from models.joint.resnet_v2 import BatchNormMode
from models.loading import load_state
from models.segment import roi
from models.serving import Compile, DetectorOptions, Weights, random_network
from models.tasks import Boxes, Float, Image, Runner, Window

PAD = 127
"""Grey level of what an image does not cover, as in the training."""


@dataclass(frozen=True)
class PersonLabDetector:
    """Serves `models.tasks.Detector` with a PersonLab, and gives keypoints and masks.

    Attributes:
        run: the compiled network; its five outputs are as `PersonLab.forward` describes them.
        size: height and width of its input, pixels; one more than multiples of the stride.
        stride: pixels per cell of its outputs.
        score: the lowest score that makes a person; above 0.
        max_people: of one image; the best are kept.
    """

    run: Runner
    size: tuple[int, int]
    stride: int
    score: float = 0.1
    max_people: int = 100

    @torch.inference_mode()
    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        """The persons in each of `images`, uint8 [H, W, 3] BGR of any sizes, through the network as one batch.

        A keypoint's score is its probability in the heat map. A person's is the mean over all 17 keypoints, those that
        were not found with 0. The box is the extent of keypoints and mask.
        """
        if not images:
            return []
        pixels, scales, _ = place(images, self.size, PAD)
        outputs = self.run(pixels)
        with _one_thread():
            return [
                self._people(_maps(row, self.stride), image.shape[:2], float(scale))
                for *row, image, scale in zip(*outputs, images, scales, strict=True)
            ]

    def _people(self, maps: Maps, size: tuple[int, ...], scale: float) -> Boxes:
        found = peaks(hough(maps.heat, maps.short, maps.stride))
        people = group(found, maps.mid, maps.short, maps.stride)
        sure = confidence(people, maps.heat, maps.stride)
        best = np.argsort(-sure.mean(1), kind="stable")[: self.max_people]
        best = best[sure[best].mean(1) >= self.score]
        people, sure = people[best], sure[best]
        labels = label(people, maps)
        height, width = size
        xyxy = np.clip(extents(people, labels) / scale, 0, np.array([width, height, width, height], np.float32))
        seen = np.flatnonzero((xyxy[:, 2:] > xyxy[:, :2]).all(axis=1))
        places = (people[seen, :, :2] + 0.5) / scale - 0.5
        keypoints = np.concatenate([places * (sure[seen, :, None] > 0), sure[seen, :, None]], axis=2)[:, TO_COCO]
        masks = partial(_windows, labels, seen, roi.windows(xyxy[seen], width, height), scale)
        return Boxes(xyxy[seen], sure[seen].mean(1), keypoints.astype(np.float32), masks)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch compute in this thread alone: waking others for every small step takes longer than the step."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def extents(people: Float, labels: npt.NDArray[np.int16]) -> Float:
    """The boxes around keypoints and masks.

    Args:
        people: float32 [N, 17, 3], x, y and score, 0 = not found.
        labels: [H, W], number of the person whom a pixel belongs to, or NOBODY.

    Returns:
        float32 [N, 4], x1, y1, x2, y2, where pixel 0 reaches from 0 to 1.
    """
    found = people[..., 2:] > 0
    lowest = np.where(found, people[..., :2], np.inf).min(1) + 0.5
    highest = np.where(found, people[..., :2], -np.inf).max(1) + 0.5
    boxes = np.concatenate([lowest, highest], axis=1)
    for box, region in zip(boxes, ndimage.find_objects(labels.astype(np.int32) - NOBODY, len(people)), strict=True):
        if region is not None:
            rows, columns = region
            box[:2] = np.minimum(box[:2], (columns.start, rows.start))
            box[2:] = np.maximum(box[2:], (columns.stop, rows.stop))
    return boxes.astype(np.float32)


def _windows(
    labels: npt.NDArray[np.int16], people: npt.NDArray[np.intp], windows: npt.NDArray[np.int64], scale: float
) -> list[Window | None]:
    """The masks of these people, each in its window of the image; None for somebody who has no pixel."""
    regions = ndimage.find_objects(labels.astype(np.int32) - NOBODY, int(people.max(initial=-1)) + 1)
    padded = np.pad(labels, 1, constant_values=NOBODY)
    masks: list[Window | None] = []
    for person, window in zip(people.tolist(), windows.tolist(), strict=True):
        if regions[person] is None:
            masks.append(None)
            continue
        rows, columns = regions[person]
        crop = padded[rows.start : rows.stop + 2, columns.start : columns.stop + 2]
        logits = np.where(crop == person, np.float32(1), np.float32(-1))
        corner = [(first - 0.5) / scale - 0.5 for first in (columns.start, rows.start)]
        region = np.array([[1 / scale, 0, corner[0]], [0, 1 / scale, corner[1]]])
        left, top, right, bottom = window
        masks.append(Window(roi.paste(logits, region, (left, top, right, bottom)), (left, top)))
    return masks


def personlab_detector(weights: Weights, compile_network: Compile, options: DetectorOptions) -> PersonLabDetector:
    """A detector that gives keypoints and masks, with the weights of a TensorFlow checkpoint.

    The network gets one row and one column more than the configuration says, so that cells lie on pixels. It has no
    use for `options.nms_iou`: grouping leaves no two people in one place.

    Raises:
        CheckpointError: the file does not hold a PersonLab.
    """
    stride = int(weights.entry.arguments["output_stride"])
    size = options.size[0] + 1, options.size[1] + 1

    def make() -> Source:
        network = load_personlab(weights)
        return Source(FromPixels(network, network.pixels), (Input.pixels(*size),))

    run = compile_network(make, size=size).run
    return PersonLabDetector(run, size, stride, options.score, options.max_people)


def load_personlab(weights: Weights) -> PersonLab:
    """The network, with the output stride and the batch-norm that the zoo says."""
    arguments = weights.entry.arguments
    mode: BatchNormMode = "running" if arguments["bn_mode"] == "running" else "batch"
    network = random_network(lambda: PersonLab(int(arguments["output_stride"]), mode))
    if weights.path is not None:
        if weights.format != "tensorflow":
            raise CheckpointError(f"{weights.path} is not a TensorFlow checkpoint; give the path of its .index file")
        load_state(network, from_slim(tensorflow.read(weights.path)))
    return network


def _maps(row: Sequence[Float], stride: int) -> Maps:
    heat, short, mid, long, person = (torch.from_numpy(part) for part in row)
    short, mid, long = (part.reshape(-1, 2, *part.shape[1:]) for part in (short, mid, long))
    return Maps(heat, short, mid, long, person[0], stride)
