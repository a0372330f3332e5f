"""Images of any size into one batch of one size, in the ways of YOLOX and YOLOv3."""

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
    batch, scales, _ = place(images, size, PAD)
    return batch, scales


def place(
    images: Sequence[Image], size: tuple[int, int], pad: int, *, centred: bool = False
) -> tuple[Image, Float, Float]:
    """Scale each image to fit, keeping its shape, into the top-left corner or the centre of its row of a batch.

    Args:
        images: uint8 [H, W, 3] each, of any sizes.
        size: height and width of the batch, pixels.
        pad: grey level of what an image does not cover.
        centred: whether it lies in the centre; else in the top-left corner.

    Returns:
        uint8 [B, height, width, 3]; float32 [B], how many pixels of the batch one pixel of each image became; and
        float32 [B, 2], x and y of its top-left corner in the batch.
    """
    # In double precision: in single, 576 pixels x (480 / 576) would truncate to 479.
    scales = [min(size[0] / image.shape[0], size[1] / image.shape[1]) for image in images]
    batch = np.empty((len(images), *size, 3), np.uint8)
    offsets = np.zeros((len(images), 2), np.float32)
    for canvas, image, scale, offset in zip(batch, images, scales, offsets, strict=True):
        height, width = (max(int(side * scale), 1) for side in image.shape[:2])
        top, left = ((size[0] - height) // 2, (size[1] - width) // 2) if centred else (0, 0)
        offset[:] = left, top
        part = canvas[top : top + height, left : left + width]
        cv2.resize(image, (width, height), dst=part, interpolation=cv2.INTER_LINEAR)
        canvas[:top] = pad
        canvas[top + height :] = pad
        canvas[top : top + height, :left] = pad
        canvas[top : top + height, left + width :] = pad
    return batch, np.array(scales, np.float32), offsets
