"""A pose drawn as the 55 maps that Pose2Seg sees beside the picture: 17 of confidence, 38 of part affinity."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.tasks import Float

LIMBS = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (5, 11),
    (6, 8), (6, 12), (7, 9), (8, 10), (11, 12), (11, 13), (12, 14), (13, 15), (14, 16),
)  # fmt: skip
"""Ends of the limbs of COCO's skeleton; the released weights know the maps by this order."""

MAPS = 17 + 2 * len(LIMBS)
"""One map of confidence for each keypoint, then x and y of the affinity for each limb."""

_SIGMA = 3.0
"""Of the Gaussian of a keypoint, pixels of the map."""

_CUT = 4.6025
"""Where the Gaussian ends: its exponent there, exp(-4.6025) = .01."""

_REACH = 1.0
"""How far a limb reaches to its sides and beyond its ends, pixels of the map."""

_HIDDEN = 1
"""COCO's flag of a keypoint that is labelled but not seen: 0 is not labelled, 2 is seen."""

_FROM, _TO = (np.array(ends) for ends in zip(*LIMBS, strict=True))


def skeleton_maps(keypoints: Float, size: int = 64) -> Float:
    """Confidence maps and part affinity fields (Cao et al., 2017, section 2) as Zhang et al., 2019, draw them.

    A keypoint is a Gaussian, turned negative where it is labelled but hidden. A limb is a strip of its unit vector.

    Args:
        keypoints: float32 [N, 17, 3], COCO order: x and y in pixels of the maps, and COCO's flag 0, 1 or 2.
        size: height and width of the maps.

    Returns:
        float32 [N, 55, size, size]: the 17 keypoints, then x and y of each of `LIMBS`.
    """
    maps = np.empty((len(keypoints), MAPS, size, size), np.float32)
    pixels = np.arange(size, dtype=np.float64)
    # One person at a time, and in place where it can be: new memory costs more than all of the arithmetic.
    for person, drawn in zip(keypoints.astype(np.float64), maps, strict=True):
        _draw_keypoints(person, pixels, drawn[:17])
        _draw_limbs(person, pixels, drawn[17:].reshape(len(LIMBS), 2, size, size))
    return maps


def _draw_keypoints(person: npt.NDArray[np.float64], pixels: npt.NDArray[np.float64], out: Float) -> None:
    exponent = (pixels - person[:, :2, None]) ** 2 / (2 * _SIGMA**2)
    along_x, along_y = exponent[:, 0], exponent[:, 1]
    sign = np.where(person[:, 2] == 0, 0.0, np.where(person[:, 2] == _HIDDEN, -1.0, 1.0))
    np.add(along_y[:, :, None], along_x[:, None, :], out=out)
    inside = out < _CUT
    gauss_y = (np.exp(-along_y) * sign[:, None]).astype(np.float32)
    np.multiply(gauss_y[:, :, None], np.exp(-along_x).astype(np.float32)[:, None, :], out=out)
    out *= inside


def _draw_limbs(person: npt.NDArray[np.float64], pixels: npt.NDArray[np.float64], out: Float) -> None:
    start, end = person[_FROM, :2], person[_TO, :2]
    along = end - start
    length = np.hypot(along[:, 0], along[:, 1])
    drawn = (person[_FROM, 2] != 0) & (person[_TO, 2] != 0) & (length > 0)
    unit = along / np.where(drawn, length, 1)[:, None]
    low, high = (np.rint(edge) for edge in (np.minimum(start, end) - _REACH, np.maximum(start, end) + _REACH))
    within = (pixels >= low[..., None]) & (pixels < high[..., None])
    # The distance of (x, y) from the limb's line is |(x - x0) uy - (y - y0) ux|: one term of x alone, one of y.
    of_x = (pixels - start[:, :1]) * unit[:, 1:]
    of_y = (pixels - start[:, 1:]) * unit[:, :1]
    distance = np.subtract(of_y[:, :, None], of_x[:, None, :], out=out[:, 0])
    strip = np.abs(distance, out=distance) < _REACH
    strip &= within[:, 1, :, None]
    strip &= (within[:, 0] & drawn[:, None])[:, None, :]
    np.multiply(strip[:, None], unit.astype(np.float32)[:, :, None, None], out=out)
