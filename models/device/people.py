"""Top-down pose estimation on the device: everybody in several images, through a network that sees one at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.coco import MIRRORED
from models.device.atlas import AnyImage, Atlas
from models.device.crops import cut
from models.device.transfer import download, upload
from models.pose.crops import Crops
from models.serving import COCO_KEYPOINTS
from models.tasks import Float

Look: TypeAlias = Callable[[Tensor], Tensor]
"""Of crops, uint8 [N, H, W, 3], the keypoints, float32 [N, 17, 3]: x and y in pixels of the crop, and a score."""


def find_keypoints(
    images: Sequence[AnyImage],
    boxes: Sequence[Float],
    look: Look,
    device: torch.device,
    *,
    size: tuple[int, int],
    padding: float,
    max_batch: int,
) -> list[Float]:
    """Keypoints of everybody in `images`, whom `look` sees in their crops; the host waits once, for these.

    Args:
        images: B images of any sizes. boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
        look: finds them. device: where it does so.
        size: height and width of a crop, pixels. padding: how many times the box's width or height it shows.
        max_batch: crops at a time.

    Returns:
        Of each image float32 [N, 17, 3]: x and y in its pixels, and a score.
    """
    counts = [len(of_image) for _, of_image in zip(images, boxes, strict=True)]
    seen, owners = np.unique(np.repeat(np.arange(len(counts)), counts), return_inverse=True)
    keypoints = np.zeros((len(owners), COCO_KEYPOINTS, 3), np.float32)
    if len(owners):
        atlas = Atlas.of([images[number] for number in seen], device)
        crops = Crops.around(np.concatenate(boxes), size, padding)
        batches = [slice(first, first + max_batch) for first in range(0, len(owners), max_batch)]
        (keypoints,) = download(torch.cat([look(cut(atlas, owners[batch], crops[batch])) for batch in batches]))
        keypoints[..., :2] = crops.to_image(keypoints[..., :2])
    return np.split(keypoints, np.cumsum(counts)[:-1]) if counts else []


def mirror_order(device: torch.device) -> Tensor:
    """Of each keypoint the one that it becomes in a mirror, as an index: a list in its place makes the host wait."""
    return upload(np.array(MIRRORED), device)
