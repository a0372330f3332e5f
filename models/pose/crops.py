"""One upright crop per person: where it lies in its image, its pixels, and points of it back in the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from models.tasks import Float, Image

Double = npt.NDArray[np.float64]

_COPYING_PAYS = 1.5
"""Pixels of the image per pixel of the crop up to which the detour of `_cut` is the shorter way."""


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Where N crops of one size lie in their images.

    Attributes:
        origins: float64 [N, 2], x and y in the image of the centre of each crop's top-left pixel.
        pitches: float64 [N], pixels of the image from one pixel of a crop to the next.
        size: height and width of every crop, pixels.
    """

    origins: Double
    pitches: Double
    size: tuple[int, int]

    @staticmethod
    def around(boxes: Float, size: tuple[int, int], padding: float) -> Crops:
        """The smallest crops of this shape around the middle of each box that hold `padding` times the box.

        This is the crop that top-down pose estimators are trained on since Xiao et al., "Simple Baselines", 2018.

        Args:
            boxes: float32 [N, 4], x1, y1, x2, y2 in pixels of the image.
            size: height and width of the crops, pixels.
            padding: how many times the box's width or height.
        """
        corners = boxes.astype(np.float64)
        sides = np.maximum(corners[:, 2:] - corners[:, :2], 1)  # a box without extent still has a place
        shape = np.array(size[::-1])
        pitches = (sides / shape).max(axis=1) * padding
        centres = (corners[:, :2] + corners[:, 2:]) / 2
        return Crops(centres - pitches[:, None] * shape / 2, pitches, size)

    def __len__(self) -> int:
        return len(self.pitches)

    def __getitem__(self, rows: slice) -> Crops:
        return Crops(self.origins[rows], self.pitches[rows], self.size)

    def cut(self, images: Sequence[Image]) -> Image:
        """The pixels, uint8 [N, height, width, 3], bilinear; black where a crop reaches beyond its image.

        Args:
            images: of each crop its image, uint8 [H, W, 3].
        """
        batch = np.empty((len(self), *self.size, 3), np.uint8)
        canvas, drawn = np.empty(0, np.uint8), None
        for crop, image, origin, pitch in zip(batch, images, self.origins, self.pitches, strict=True):
            if image is not drawn:
                canvas, drawn = np.empty((*image.shape[:2], 4), np.uint8), image
            _cut(crop, image, canvas, origin, pitch)
        return batch

    def to_image(self, points: Float) -> Float:
        """Points of the crops, float32 [N, K, 2] x and y, in pixels of their images."""
        return (points * self.pitches[:, None, None] + self.origins[:, None]).astype(np.float32)


def _cut(crop: Image, image: Image, canvas: Image, origin: Double, pitch: float) -> None:
    """Fill `crop` with what it shows of `image`.

    OpenCV warps four channels more than twice as fast as three, to the same values. So the part of the image that is
    seen is first copied to its place on `canvas`, uint8 [H, W, 4], the rest of which is never looked at.
    """
    height, width = crop.shape[:2]
    affine = np.array([[pitch, 0, origin[0]], [0, pitch, origin[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    last = origin + pitch * np.array([width - 1, height - 1])
    left, top = np.maximum(np.floor(origin), 0).astype(int)
    right, bottom = np.maximum(np.floor(last) + 2, 0).astype(int)
    part = image[top:bottom, left:right]
    if part.size == 0 or pitch > _COPYING_PAYS:
        cv2.warpAffine(image, affine, (width, height), dst=crop, flags=flags)
        return
    cv2.cvtColor(part, cv2.COLOR_BGR2BGRA, dst=canvas[top:bottom, left:right])
    cv2.cvtColor(cv2.warpAffine(canvas, affine, (width, height), flags=flags), cv2.COLOR_BGRA2BGR, dst=crop)
