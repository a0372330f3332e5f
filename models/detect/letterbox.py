"""Images of any size into one batch of one size, in YOLOX's way."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from models.tasks import Float, Image

PAD = 114
"""Grey level of what an image does not cover, as in YOLOX's training."""


def letterbox(images: Sequence[Image], size: tuple[int, int]) -> tuple[Image, Float]:
    """Scale each image to fit, keeping its shape, into the top-left corner of its row of a batch.

    Args:
        images: uint8 [H, W, 3] each, of any sizes.
        size: height and width of the batch, pixels.

    Returns:
        uint8 [B, height, width, 3]; and float32 [B], how many pixels of the batch one pixel of each image became.
    """
    # In double precision: in single, 576 pixels x (480 / 576) would truncate to 479.
    scales = [min(size[0] / image.shape[0], size[1] / image.shape[1]) for image in images]
    batch = np.empty((len(images), *size, 3), np.uint8)
    for canvas, image, scale in zip(batch, images, scales, strict=True):
        height, width = (max(int(side * scale), 1) for side in image.shape[:2])
        cv2.resize(image, (width, height), dst=canvas[:height, :width], interpolation=cv2.INTER_LINEAR)
        canvas[height:] = PAD
        canvas[:height, width:] = PAD
    return batch, np.array(scales, np.float32)
