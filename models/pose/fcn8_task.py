"""Keypoints from an FCN-8: one look at each image for all joints, of which everybody gets the likeliest in the box.

No such network was ever published; this is our own reading of what the exercise calls pose estimation with an FCN-8. It
has 18 classes, the 17 keypoints of COCO and the background, learned from discs around the labelled joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.letterbox import letterbox
from models.pose.flip import averaged
from models.segment import roi
from models.segment.fcn8 import FCN8
from models.segment.fcn8_task import load_fcn8
from models.serving import COCO_KEYPOINTS, Compile, PoseOptions, Weights
from models.tasks import Float, Image, Runner


@dataclass(frozen=True)
class FCN8PoseEstimator:
    """Serves `models.tasks.PoseEstimator` with an FCN-8.

    Where the boxes of two people overlap, both may be given the same joint.

    Attributes:
        run: the compiled network; its only output is as `JointProbabilities.forward` describes it.
        size: height and width of its input, pixels.
        flip_test: whether every image is looked at twice, once mirrored.
    """

    run: Runner
    size: tuple[int, int]
    flip_test: bool = False

    def __call__(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        """Keypoints of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images; one without people is not looked at.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.

        Returns:
            Of each image float32 [N, 17, 3]: x and y in its pixels, and the probability of the joint in that place; 0
            for a box of which no pixel lies in the image.
        """
        found = [np.zeros((len(of_image), COCO_KEYPOINTS, 3), np.float32) for of_image in boxes]
        used = [number for number, of_image in enumerate(boxes) if len(of_image)]
        if not used:
            return found
        pixels, scales = letterbox([images[number] for number in used], self.size)
        for number, maps, scale in zip(used, self._look(pixels), scales, strict=True):
            height, width = np.maximum(np.multiply(images[number].shape[:2], scale), 1).astype(int).tolist()
            for row, window in enumerate(roi.windows(boxes[number] * scale, width, height).tolist()):
                found[number][row] = _likeliest(maps, window, float(scale))
        return found

    def _look(self, pixels: Image) -> Float:
        (maps,) = self.run(pixels)
        if self.flip_test:
            # The strip that a narrow image leaves free comes first in the mirror, and goes back with the rest.
            (mirrored,) = self.run(pixels[:, :, ::-1])
            maps = averaged(maps, mirrored, along_x=True)
        return maps


def _likeliest(maps: Float, window: Sequence[int], scale: float) -> Float:
    """Of each joint the place where it is likeliest within a window of its map: float32 [17, 3], in the image."""
    left, top, right, bottom = window
    points = np.zeros((COCO_KEYPOINTS, 3), np.float32)
    if right > left and bottom > top:
        inside = maps[:, top:bottom, left:right].reshape(COCO_KEYPOINTS, -1)
        best = inside.argmax(1)
        y, x = np.divmod(best, right - left)
        points[:, 0], points[:, 1] = ((of + 0.5) / scale - 0.5 for of in (x + left, y + top))
        points[:, 2] = np.take_along_axis(inside, best[:, None], 1)[:, 0]
    return points


class JointProbabilities(nn.Module):
    """The softmax of an FCN-8 without the background, its last class."""

    def __init__(self, network: FCN8) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """[B, 17, H, W] of `images`, as `FCN8.forward` takes them."""
        probabilities: Tensor = self.network(images).softmax(1)
        return probabilities[:, :COCO_KEYPOINTS]


def fcn8_pose_estimator(weights: Weights, compile_network: Compile, options: PoseOptions) -> FCN8PoseEstimator:
    """A pose estimator with somebody's FCN-8.

    The entry's arguments: `layout`, `classes`, and `height` and `width` of the input, pixels.

    Raises:
        CheckpointError: the file does not hold an FCN-8 of 18 classes.
    """
    size = int(weights.entry.arguments["height"]), int(weights.entry.arguments["width"])

    def make() -> Source:
        network = load_fcn8(weights)
        return Source(FromPixels(JointProbabilities(network), network.pixels), (Input.pixels(*size),))

    return FCN8PoseEstimator(compile_network(make).run, size, options.flip_test)
