"""SimCC on the device: what `models.pose.simcc` does on arrays, to the same numbers."""

from __future__ import annotations

import torch
from torch import Tensor

from models.pose.simcc import SPLIT_RATIO


def decode(x: Tensor, y: Tensor) -> Tensor:
    """Places and scores of keypoints; nothing waits for the device.

    Args:
        x, y: float [N, K, 2 W] and [N, K, 2 H], as from `RTMPose.forward`.

    Returns:
        float32 [N, K, 3]: x and y in pixels of the network's input, and a score 0..1, 0 where not found. The first of
        equal bins counts.
    """
    (by_column, column), (by_row, row) = _largest(x), _largest(y)
    scores = torch.minimum(by_column, by_row).clamp(0, 1)
    return torch.stack([column / SPLIT_RATIO, row / SPLIT_RATIO, scores.float()], dim=2)


def _largest(bins: Tensor) -> tuple[Tensor, Tensor]:
    place = bins.argmax(dim=2, keepdim=True)
    return bins.gather(2, place)[..., 0], place[..., 0]
