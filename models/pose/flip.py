"""The mirrored second look of a flip test: whose left is whose right."""

from __future__ import annotations

import numpy as np

from models.tasks import Float

FLIPPED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
"""Of each of COCO's keypoints the one that it becomes in a mirror."""


def averaged(of_image: Float, of_mirrored: Float, *, along_x: bool) -> Float:
    """The mean of what a network says of a person and of the mirrored person.

    Args:
        of_image, of_mirrored: float32 [B, 17, ...], COCO order.
        along_x: whether the last axis runs along the image's x, and so runs backwards in the mirror.
    """
    swapped = of_mirrored[:, list(FLIPPED)]
    return (of_image + (swapped[..., ::-1] if along_x else swapped)) * np.float32(0.5)
