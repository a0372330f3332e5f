"""Images of any sizes into one batch of one size, as `models.detect.letterbox` does on arrays."""

from __future__ import annotations

from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from models.detect.letterbox import PAD
from models.device.atlas import Atlas


def letterbox(atlas: Atlas, size: tuple[int, int]) -> tuple[Tensor, list[float]]:
    """Scale each image to fit, keeping its shape, into the top-left corner of its row of a batch.

    Neighbours of one size are scaled together. Bilinear with the centres of pixels at halves, as `cv2.resize` does it;
    OpenCV's fixed-point arithmetic makes it differ by one grey level at most. Nothing waits for the device.

    Args:
        atlas: B images.
        size: height and width of the batch, pixels.

    Returns:
        uint8 [B, height, width, 3]; and how many pixels of the batch one pixel of each image became.
    """
    batch = atlas.pixels.new_full((len(atlas), *size, 3), PAD)
    scales = [min(size[0] / height, size[1] / width) for height, width in atlas.sizes]
    for of_size, numbers in groupby(range(len(atlas)), key=lambda number: atlas.sizes[number]):
        rows = list(numbers)
        # Cut off, not rounded, and in double precision: as the function on arrays does.
        height, width = (max(int(side * scales[rows[0]]), 1) for side in of_size)
        batch[rows[0] : rows[-1] + 1, :height, :width] = _resized([atlas.image(row) for row in rows], (height, width))
    return batch, scales


def _resized(images: list[Tensor], size: tuple[int, int]) -> Tensor:
    if images[0].shape[:2] == size:
        return torch.stack(images)
    planes = torch.stack(images).permute(0, 3, 1, 2).float()
    scaled = F.interpolate(planes, size, mode="bilinear", align_corners=False)
    return scaled.round_().byte().permute(0, 2, 3, 1)
