"""Whether two runs of one network mean the same, in pixels and overlap: relative errors of outputs tell neither."""

from __future__ import annotations

import numpy as np

from models.tasks import Bool, Float

PIXELS = 1.0
"""How far places may move, pixels of the network's input, in all but one of a hundred."""

OVERLAP = 0.98
"""Least mean intersection over union of the masks."""

SURE = 0.3
"""Score, in the reference, of what counts."""


def moved(what: str, places: Float, reference: Float) -> str:
    """By how much places have moved, if that is too much; else nothing.

    Args:
        what: they are called.
        places, reference: float32 [N, C], coordinates in pixels of the network's input.
    """
    if len(reference) == 0:
        return ""
    far = float(np.percentile(np.abs(places - reference).max(axis=1), 99))
    if far <= PIXELS:
        return ""
    return f"{what} are {far:.2g} pixels off eager float32's at the 99th percentile, more than the {PIXELS:g} allowed"


def overlapping(masks: Bool, reference: Bool) -> str:
    """How little masks overlap, if that is too little; else nothing.

    Args:
        masks, reference: bool [N, H, W]; those that are empty in the reference do not count.
    """
    there = reference.any((1, 2))
    if not there.any():
        return ""
    common = (masks & reference)[there].sum((1, 2))
    union = (masks | reference)[there].sum((1, 2))
    mean = float((common / union).mean())
    if mean >= OVERLAP:
        return ""
    return f"masks overlap eager float32's by {mean:.3f} (mean IoU), less than the {OVERLAP:g} wanted"
