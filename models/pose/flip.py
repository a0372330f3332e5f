"""The mirrored second look of a flip test: whose left is whose right."""

from __future__ import annotations

import numpy as np

from models.coco import MIRRORED
from models.tasks import Float


def averaged(of_image: Float, of_mirrored: Float, *, along_x: bool) -> Float:
    """The mean of what a network says of a person and of the mirrored person.

    Args:
        of_image, of_mirrored: float32 [B, 17, ...], COCO order.
        along_x: whether the last axis runs along the image's x, and so runs backwards in the mirror.
    """
    swapped = of_mirrored[:, list(MIRRORED)]
    return (of_image + (swapped[..., ::-1] if along_x else swapped)) * np.float32(0.5)
