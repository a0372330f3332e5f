"""The square around a person that a mask head looks at, and the way back into the frame.

A region is an affine matrix, float64 [2, 3], that takes pixels of the crop to pixels of the image (centres of pixels at
whole numbers on both sides).
"""

from __future__ import annotations

import logging
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from models.detect.scores import sigmoid
from models.tasks import Bool, Float, Image

Double: TypeAlias = npt.NDArray[np.float64]
Rectangle: TypeAlias = tuple[int, int, int, int]

SIDE_PER_RADIUS = 2.5
"""Side of the region per distance from the middle of the hips to the farthest keypoint: twice the radius and a quarter
more, as MediaPipe cuts the crops that its landmark networks were trained on. 2.25, 2.5 and 2.75 score a mask AP of
.276, .301 and .295 on the 85 images of COCO val2017 that every figure in this module refers to."""

SIDE_PER_BOX = 1.5
"""Side of the region per longer side of the box, for people without hips or shoulders. With everybody's region taken
from the box, 1.25, 1.5, 1.75 and 2 score a mask AP of .226, .251, .231 and .227."""

OUTSIDE = -10.0
"""The logit of what lies outside of the crop: surely not the person."""

_log = logging.getLogger(__name__)

_COPYING_PAYS = 1.5
"""Pixels of the image per pixel of the crop up to which it is faster to copy what is seen to four channels first."""

_SHOULDERS, _HIPS = (5, 6), (11, 12)


def regions(boxes: Float, keypoints: Float, size: int) -> Double:
    """The region of every person, upright on the axis from the hips to the shoulders.

    The centre is the middle of the hips and the side 2.5 times the distance to the farthest keypoint. Keypoints count
    whatever their score, so long as they were estimated (score above 0): leaving out those below .3 or .5 costs .011
    and .043 of mask AP, because a pose network guesses hidden joints well enough for a region. Of one hip or one
    shoulder alone, that one is the middle. Without any hip or any shoulder, or with all keypoints in one place, the
    region is upright around the box.

    Args:
        boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the image.
        keypoints: float32 [N, 17, 3], COCO order; x, y in pixels of the image and a score.
        size: height and width of the crop, pixels.

    Returns:
        float64 [N, 2, 3], crop to image; rows of NaN for people with neither a usable pose nor a finite box.
    """
    estimated = (keypoints[..., 2] > 0) & np.isfinite(keypoints).all(-1)
    points = np.where(estimated[..., None], keypoints[..., :2], np.nan).astype(np.float64)
    boxes = np.where(np.isfinite(boxes), boxes, np.nan)
    hips, shoulders = _middle(points[:, _HIPS]), _middle(points[:, _SHOULDERS])
    axis = shoulders - hips
    length = np.hypot(axis[:, 0], axis[:, 1])
    radius = np.fmax.reduce(np.hypot(*np.moveaxis(points - hips[:, None], -1, 0)), axis=1)
    posed = (length >= 1) & (radius >= 1)
    if not posed.all():
        _log.debug("%d of %d people lack hips or shoulders: their region is from the box", (~posed).sum(), len(posed))

    box_centre, box_side = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(-1)
    centre = np.where(posed[:, None], hips, box_centre)
    up = np.where(posed[:, None], axis / np.where(posed, length, 1)[:, None], (0.0, -1.0))
    scale = np.where(posed, SIDE_PER_RADIUS * radius, SIDE_PER_BOX * box_side) / size
    right = np.stack([-up[:, 1], up[:, 0]], 1)
    turn = np.stack([right, -up], 2) * scale[:, None, None]
    shift = centre - turn.sum(2) * (size - 1) / 2
    return np.concatenate([turn, shift[..., None]], 2)


def _middle(pairs: Double) -> Double:
    """Of points [N, 2, 2], the middle of those of each pair that are there; NaN where none is."""
    first, second = pairs[:, 0], pairs[:, 1]
    return (np.where(np.isnan(first), second, first) + np.where(np.isnan(second), first, second)) / 2


def windows(boxes: Float, width: int, height: int) -> npt.NDArray[np.int64]:
    """The pixels that each box touches within the image: int64 [N, 4], left, top, right, bottom (the latter exclusive).

    The box is not enlarged: a margin of -2, 0, 2 and 5 % and no limit at all score a mask AP of .303, .301, .292, .284
    and .213, because the network likes to give neighbours to the person.
    """
    edges = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], 1)
    limits = (width, height, width, height)
    pixels: npt.NDArray[np.int64] = np.clip(np.nan_to_num(edges, nan=0.0), 0, limits).astype(np.int64)
    return pixels


def cut(image: Image, region: Double, out: Image) -> None:
    """Fill `out`, uint8 [size, size, 3], with the `region` of `image`, mirrored beyond the border.

    Mirroring scores a mask AP of .301, repeating the last pixel .297 and black .289.
    """
    size, (height, width) = len(out), image.shape[:2]
    corners = region @ ((0, size - 1, 0, size - 1), (0, 0, size - 1, size - 1), (1, 1, 1, 1))
    left, top = np.clip(np.floor(corners.min(1)), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(1)) + 1, (left + 1, top + 1), (width, height)).astype(int)
    part, shifted = image[top:bottom, left:right], region - ((0, 0, left), (0, 0, top))
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT_101
    if np.hypot(*region[:, 0]) > _COPYING_PAYS:
        cv2.warpAffine(part, shifted, (size, size), dst=out, flags=flags, borderMode=border)
        return
    # OpenCV 5 warps four channels more than twice as fast as three.
    copy = cv2.cvtColor(part, cv2.COLOR_BGR2BGRA)
    crop = cv2.warpAffine(copy, shifted, (size, size), flags=flags, borderMode=border)
    cv2.cvtColor(crop, cv2.COLOR_BGRA2BGR, dst=out)


def paste(logits: Float, region: Double, window: Rectangle) -> Bool:
    """Where the `logits` of a crop, float32 [size, size], are positive, seen in a window of the image: bool [h, w]."""
    left, top, right, bottom = window
    shifted = region - ((0, 0, left), (0, 0, top))
    warped = cv2.warpAffine(
        logits,
        shifted,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    mask: Bool = warped > 0
    return mask


def mean_probability(logits: Float) -> Float:
    """The mean probability inside each mask, of every fourth row and column: float32 [B]; 0 for an empty mask."""
    coarse = logits[:, ::4, ::4]
    inside = coarse > 0
    probability = np.where(inside, sigmoid(coarse), 0)
    mean: Float = (probability.sum((1, 2)) / np.maximum(inside.sum((1, 2)), 1)).astype(np.float32)
    return mean
