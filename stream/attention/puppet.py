"""A mask that moves as a puppet does: it is cut into parts of the body, each of which follows its keypoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from stream.types import Bool, Float, Image

Complex: TypeAlias = npt.NDArray[np.complex64]
"""Points of the frame, x + yi: to multiply one by a complex number turns and scales it."""

_BONES = (
    ((5, 6), (11, 12)),  # the torso, from between the shoulders to between the hips
    ((0, 1, 2, 3, 4), (0, 1, 2, 3, 4)),  # the head: where it is, for how it is turned nobody can tell from behind
    ((5,), (7,)),
    ((7,), (9,)),
    ((6,), (8,)),
    ((8,), (10,)),
    ((11,), (13,)),
    ((13,), (15,)),
    ((12,), (14,)),
    ((14,), (16,)),
)  # fmt: skip
"""The two ends of each part's bone, each the mean of these keypoints."""

_OUTLINES = ((5, 6, 12, 11), (0, 1, 2, 3, 4), *((start[0], end[0]) for start, end in _BONES[2:]))
"""Keypoints between which each part lies."""

_SURE = 0.3
"""Mean score of the keypoints of a bone's end, below which it says nothing."""

_SHORT = 0.15
"""A bone that is shorter, in lengths of the torso, points at nobody knows where and does not turn its part."""

_STRETCH = 1.25
"""By how much a part grows or shrinks at most: people come nearer, and limbs point at the camera."""

_OVERLAP = 0.02
"""By how much of the body's height a part reaches over its neighbours, so that a bent joint does not gape."""

_ENDS: Float = np.array(
    [[np.isin(np.arange(17), bone[end]) / len(bone[end]) for bone in _BONES] for end in range(2)], np.float32
)


@dataclass(frozen=True, slots=True, eq=False)
class Puppet:
    """A person's mask in parts.

    Attributes:
        bones: complex64 [2, 10], where they began and ended when the mask was made. sure: bool [10], which were seen.
        of: intp [P], the bone of each part that has pixels.
        bitmaps: P of them, uint8 [h, w], 0 or 255. corners: complex64 [4, P], those of the bitmaps in the frame.
    """

    bones: Complex
    sure: Bool
    of: npt.NDArray[np.intp]
    bitmaps: tuple[Image, ...]
    corners: Complex

    @staticmethod
    def cut(window: Bool, origin: tuple[int, int], keypoints: Float) -> Puppet | None:
        """Cut a mask, bool [h, w] at `origin` (x, y), along these keypoints, float32 [17, 3].

        A pixel belongs to the part whose bone is nearest. None where no torso is seen.
        """
        bones, sure = _bones(keypoints)
        if not sure[0]:
            return None
        points = np.round(keypoints[:, :2] - origin).astype(np.int32)
        parts = _nearest(points, sure, window.shape)
        reach = max(1, round(_OVERLAP * float(np.ptp(points[:, 1]))))
        around = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        mask = window.astype(np.uint8) * np.uint8(255)
        cuts = []
        for bone in sure.nonzero()[0].tolist():
            bitmap = cv2.dilate((parts == bone + 1).astype(np.uint8), around) * mask
            x, y, width, height = cv2.boundingRect(bitmap)
            if width:
                x1, y1 = origin[0] + x, origin[1] + y
                corners = [complex(x1 + i * (width - 1), y1 + j * (height - 1)) for i in (0, 1) for j in (0, 1)]
                cuts.append((bone, np.asarray(bitmap[y : y + height, x : x + width], np.uint8).copy(), corners))
        return Puppet(
            bones,
            sure,
            np.array([bone for bone, _, _ in cuts], np.intp),
            tuple(bitmap for _, bitmap, _ in cuts),
            np.array([corners for _, _, corners in cuts], np.complex64).reshape(-1, 4).T,
        )

    def posed(self, keypoints: Float, frame_size: tuple[int, int]) -> tuple[Bool, tuple[int, int]] | None:
        """The mask as it should be now, bool [h, w], and its origin (x, y) in the frame of (height, width).

        Every part is turned, scaled and moved as its bone, and as the torso where that was not seen both times. None
        where no torso is seen.
        """
        bones, sure = _bones(keypoints)
        if not sure[0]:
            return None
        turn, shift = self._motion(bones, sure)
        corners = turn[self.of] * self.corners + shift[self.of]
        limit = frame_size[1], frame_size[0]
        low = np.clip(np.floor(np.stack([corners.real.min(0), corners.imag.min(0)], 1)), 0, limit).astype(int)
        high = np.clip(np.ceil(np.stack([corners.real.max(0), corners.imag.max(0)], 1)) + 1, 0, limit).astype(int)
        shown = (high > low).all(axis=1).nonzero()[0]
        if not len(shown):
            return np.zeros((0, 0), np.bool_), (0, 0)
        (left, top), (right, bottom) = low[shown].min(axis=0).tolist(), high[shown].max(axis=0).tolist()
        whole = np.zeros((bottom - top, right - left), np.uint8)
        matrices = _matrices(turn[self.of], corners[0] - (low[:, 0] + 1j * low[:, 1]))
        for part, (x1, y1), (x2, y2) in zip(shown.tolist(), low[shown].tolist(), high[shown].tolist(), strict=True):
            moved = cv2.warpAffine(self.bitmaps[part], matrices[part], (x2 - x1, y2 - y1))
            there = whole[y1 - top : y2 - top, x1 - left : x2 - left]
            cv2.max(there, moved, dst=there)
        return whole > 127, (left, top)

    def _motion(self, bones: Complex, sure: Bool) -> tuple[Complex, Complex]:
        """Of each part, complex64 [10] each: a point z of it is at `turn * z + shift` now."""
        before, now = self.bones[1] - self.bones[0], bones[1] - bones[0]
        least = _SHORT * np.minimum(abs(before[0]), abs(now[0]))
        long = (abs(before) > least) & (abs(now) > least)
        turn = np.divide(now, before, out=np.ones_like(now), where=long)
        turn *= np.clip(abs(turn), 1 / _STRETCH, _STRETCH) / abs(turn)
        shift = bones.mean(axis=0) - turn * self.bones.mean(axis=0)
        seen = sure & self.sure
        return np.where(seen, turn, turn[0]), np.where(seen, shift, shift[0])


def _bones(keypoints: Float) -> tuple[Complex, Bool]:
    """Beginning and end of every bone, complex64 [2, 10], and whether both are sure, bool [10]."""
    ends = _ENDS @ keypoints
    bones = ends[..., 0] + np.complex64(1j) * ends[..., 1]
    sure: Bool = np.logical_and(*(ends[..., 2] >= _SURE))
    return bones, sure


def _nearest(points: npt.NDArray[np.int32], sure: Bool, shape: tuple[int, ...]) -> Image:
    """Which bone each pixel is nearest to, uint8 [h, w], counted from 1."""
    drawn = np.zeros(shape, np.uint8)
    for bone in sure.nonzero()[0].tolist():
        cv2.polylines(drawn, [points[list(_OUTLINES[bone])]], isClosed=False, color=bone + 1)
    cv2.fillConvexPoly(drawn, cv2.convexHull(points[list(_OUTLINES[0])]), 1)
    empty = (drawn == 0).astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    bone_of = np.ones(int(nearest.max(initial=0)) + 1, np.uint8)  # all is torso where no bone lies in the window
    bone_of[nearest[drawn > 0]] = drawn[drawn > 0]
    parts: Image = bone_of[nearest]
    return parts


def _matrices(turn: Complex, shift: Complex) -> npt.NDArray[np.float32]:
    """For each complex pair the affine matrix that does the same, float32 [P, 2, 3]."""
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.array(rows, np.float32).transpose(2, 0, 1)
