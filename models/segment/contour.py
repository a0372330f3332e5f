"""Masks without a network: polygons through the keypoints, widened to the nearest edges of the picture.

A person is an ellipse between the ears and two polygons, one of the trunk with the arms and one of the legs. Around a
joint the outline is taken to be the nearest edge (Canny, 1986) on either side of it, on the joint's own row.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.segment import roi
from models.serving import Compile, Weights
from models.tasks import Bool, Float, Image, Window

_log = logging.getLogger(__name__)

LOW, HIGH = 100, 200
"""Hysteresis thresholds of Canny's edges, sums of the gradient's two components."""

Corner = tuple[int, int]
"""A keypoint, and where its corner lies: at the point, or at the nearest edge towards the person's left or right."""

AT, LEFT, RIGHT = range(3)
_L_EAR, _R_EAR = 3, 4
_L_SHOULDER, _R_SHOULDER, _L_ELBOW, _R_ELBOW, _L_WRIST, _R_WRIST = range(5, 11)
_L_HIP, _R_HIP, _L_KNEE, _R_KNEE, _L_ANKLE, _R_ANKLE = range(11, 17)
_LEFT_TRUNK, _RIGHT_TRUNK = (_L_SHOULDER, _L_HIP), (_R_SHOULDER, _R_HIP)
_CROTCH = 17
"""A point of our own behind COCO's seventeen: `_CROTCH_DROP` pixels below the middle of the hips."""
_CROTCH_DROP = 10.0

UPPER: tuple[Corner, ...] = (
    (_R_WRIST, LEFT), (_R_ELBOW, LEFT), (_R_HIP, AT), (_L_HIP, AT), (_L_ELBOW, RIGHT), (_L_WRIST, RIGHT),
    (_L_WRIST, LEFT), (_L_ELBOW, LEFT), (_L_SHOULDER, LEFT), (_R_SHOULDER, LEFT), (_R_SHOULDER, RIGHT),
    (_R_ELBOW, RIGHT), (_R_WRIST, RIGHT),
)  # fmt: skip
LOWER: tuple[Corner, ...] = (
    (_R_ANKLE, RIGHT), (_R_KNEE, RIGHT), (_R_HIP, AT), (_L_HIP, AT), (_L_KNEE, LEFT), (_L_ANKLE, LEFT),
    (_L_ANKLE, RIGHT), (_L_KNEE, RIGHT), (_CROTCH, AT), (_R_KNEE, LEFT), (_R_ANKLE, LEFT),
)  # fmt: skip
"""The two polygons, in the order of their corners."""


@dataclass(frozen=True)
class ContourSegmenter:
    """Serves `models.tasks.Segmenter` without a network.

    Attributes:
        longest: of a crop, pixels; larger ones are looked at in a smaller size.
    """

    longest: int = 256

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes.

        Args:
            images: B images.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: of each image float32 [N, 17, 3], COCO order, in its pixels; score 0 = not estimated.

        Returns:
            Of each image N windows; None for a person without a pixel in the image or without keypoints for a polygon.
        """
        found = [
            [self._person(image, window, points) for window, points in zip(windows, of_image, strict=True)]
            for image, windows, of_image in (
                (image, roi.windows(of_boxes, image.shape[1], image.shape[0]), of_keypoints)
                for image, of_boxes, of_keypoints in zip(images, boxes, keypoints, strict=True)
            )
        ]
        if missing := sum(window is None for of_image in found for window in of_image):
            _log.debug("no polygon for the masks of %d people", missing)
        return found

    def _person(self, image: Image, window: npt.NDArray[np.int64], points: Float) -> Window | None:
        left, top, right, bottom = window.tolist()
        width, height = right - left, bottom - top
        if width < 1 or height < 1:
            return None
        crop = image[top:bottom, left:right]
        scale = min(self.longest / max(width, height), 1)
        if scale < 1:
            size = max(round(width * scale), 1), max(round(height * scale), 1)
            crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        places = np.where((points[:, 2:] > 0) & np.isfinite(points).all(1, keepdims=True), points[:, :2], np.nan)
        drawn = draw(edges(crop), (places - (left, top)) * scale)
        if drawn is None:
            return None
        if scale < 1:
            drawn = np.asarray(cv2.resize(drawn, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        return Window(drawn.astype(np.bool_), (left, top))


def contour_segmenter(weights: Weights, compile_network: Compile) -> ContourSegmenter:  # noqa: ARG001
    """A segmenter that needs neither weights nor a backend."""
    return ContourSegmenter()


def edges(crop: Image) -> Bool:
    """Canny's edges of a crop, uint8 [h, w, 3], a little smoothed: bool [h, w]."""
    found: Bool = cv2.Canny(cv2.GaussianBlur(crop, (5, 5), 0), LOW, HIGH) > 0
    return found


def nearest_edges(rows: Bool, columns: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """On each of `rows`, bool [K, w], the nearest edge left and right of a column [K], or the column where none is.

    An edge in the column itself is the nearest on both sides.
    """
    everywhere = np.arange(rows.shape[1])
    each = np.arange(len(rows))
    before = np.maximum.accumulate(np.where(rows, everywhere, -1), axis=1)[each, columns]
    behind = np.minimum.accumulate(np.where(rows, everywhere, rows.shape[1])[:, ::-1], axis=1)[:, ::-1][each, columns]
    return np.where(before < 0, columns, before), np.where(behind == rows.shape[1], columns, behind)


def draw(outline: Bool, points: npt.NDArray[np.floating]) -> Image | None:
    """The mask of one person, uint8 [h, w] of 0 and 1.

    Args:
        outline: edges of the crop, bool [h, w].
        points: [17, 2], x and y in its pixels; NaN for a keypoint that was not estimated.

    Returns:
        None where too few keypoints are there for a polygon or a head.
    """
    height, width = outline.shape
    crotch = points[[_L_HIP, _R_HIP]].mean(0) + np.array([-0.5, _CROTCH_DROP])
    points = np.concatenate([points, crotch[None]])
    there = np.isfinite(points).all(1)
    pixels = np.rint(np.nan_to_num(points)).clip(0, (width - 1, height - 1)).astype(np.intp)
    before, behind = nearest_edges(outline[pixels[:, 1]], pixels[:, 0])
    # Who faces the camera has the left side on the right of the picture; without a trunk that is supposed.
    averted = points[_LEFT_TRUNK, 0].sum() < points[_RIGHT_TRUNK, 0].sum()
    columns = np.stack([pixels[:, 0], before, behind] if averted else [pixels[:, 0], behind, before])
    mask = np.zeros((height, width), np.uint8)
    for polygon in (UPPER, LOWER):
        corners = [(columns[side, joint], pixels[joint, 1]) for joint, side in polygon if there[joint]]
        if len(corners) >= 3:
            cv2.fillPoly(mask, [np.array(corners, np.int32)], (1,))
    if there[[_L_EAR, _R_EAR]].all():
        _head(mask, *pixels[[_L_EAR, _R_EAR]].tolist())
    return mask if mask.any() else None


def _head(mask: Image, left: tuple[int, int], right: tuple[int, int]) -> None:
    """Fill an ellipse between the ears, twice as high as wide, in `mask`."""
    width = abs(left[0] - right[0])
    centre, axes = ((left[0] + right[0]) // 2, left[1]), (max(width // 2, 1), max(width, 1))
    cv2.ellipse(mask, centre, axes, 0, 0, 360, (1,), cv2.FILLED)
