"""The pose estimator: images and boxes in, the keypoints of everybody out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.pose import simcc
from models.pose.crops import Crops
from models.tasks import Float, Image, Runner

KEYPOINTS = 17
"""Keypoints of COCO, which come first in every skeleton that RTMPose is published for."""


@dataclass(frozen=True)
class RTMPoseEstimator:
    """Serves `models.tasks.PoseEstimator` with an RTMPose: every person is cut out and looked at alone.

    Attributes:
        run: the compiled network; its two outputs are as `RTMPose.forward` describes them.
        size: height and width of its input, pixels.
        padding: how many times the box's width or height a crop shows.
        max_batch: persons per call of the network.
    """

    run: Runner
    size: tuple[int, int] = (256, 192)
    padding: float = 1.25
    max_batch: int = 32

    def __call__(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        """Keypoints of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all go through the network together.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.

        Returns:
            Of each image float32 [N, 17, 3]: x and y in its pixels, and a score 0..1, 0 where not found.
        """
        counts = [len(of_image) for of_image in boxes]
        keypoints = np.zeros((sum(counts), KEYPOINTS, 3), np.float32)
        owners = [image for image, count in zip(images, counts, strict=True) for _ in range(count)]
        crops = Crops.around(np.concatenate([*boxes, np.zeros((0, 4), np.float32)]), self.size, self.padding)
        for first in range(0, len(owners), self.max_batch):
            batch = slice(first, first + self.max_batch)
            x, y = self.run(crops[batch].cut(owners[batch]))
            places, scores = simcc.decode(x[:, :KEYPOINTS], y[:, :KEYPOINTS])
            keypoints[batch, :, :2] = crops[batch].to_image(places)
            keypoints[batch, :, 2] = scores
        return np.split(keypoints, np.cumsum(counts)[:-1]) if counts else []
