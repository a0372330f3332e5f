"""Keypoints that nobody looked at in a frame follow the picture: sparse optical flow from the frame before.

How limbs swing cannot be made up, but it can be seen without a network: the patch around a wrist looks as it did one
frame ago, a few pixels further. Lucas and Kanade, 1981; with pyramids, Bouguet, 2001.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from stream.types import Bool, Float, Image, People

HEIGHT = 576
"""Pictures that are higher are compared at this size."""

PATCH = (11, 11)
"""Pixels around a keypoint that are compared: about a limb of somebody a hundred pixels high."""

LEVELS = 2
"""Halvings of the picture, for keypoints that went further than their patch."""

THERE_AND_BACK = 1.0
"""Pixels by which a keypoint may miss its start when it is followed back (Kalal et al., 2010); beyond, it was lost."""

ASTRAY = 0.12
"""Box heights by which a keypoint may leave its person's motion from one frame to the next; beyond, it was lost."""


class Flow:
    """The newest picture and keypoints of one stream."""

    def __init__(self) -> None:
        self._picture: Image | None = None
        self._keypoints: dict[int, Float] = {}
        self._time = 0.0

    def carry(self, image: Image, people: People, time: float) -> People:
        """`people` with keypoints of those who were not looked at where the picture says they are.

        A keypoint that is lost moves with its person instead.

        Args:
            image: the next frame, uint8 [H, W, 3]. people: in it, with ids. time: of it, seconds.
        """
        picture, before = _grey(image), self._picture
        rows = [
            row
            for row in (people.predicted & ~people.hidden).nonzero()[0].tolist()
            if int(people.ids[row]) in self._keypoints
        ]
        if rows and before is not None and before.shape == picture.shape:
            start = np.stack([self._keypoints[int(people.ids[row])] for row in rows])
            moved = start.copy()
            moved[:, :, :2] += (people.velocity[rows] * max(time - self._time, 0.0))[:, None]
            seen, found = _followed(before, picture, start[:, :, :2], moved[:, :, :2], image.shape[0])
            height = (people.boxes[rows, 3] - people.boxes[rows, 1])[:, None]
            found &= np.linalg.norm(seen - moved[:, :, :2], axis=2) < ASTRAY * height
            moved[found, :2] = seen[found]
            keypoints = people.keypoints.copy()
            keypoints[rows] = moved
            people = replace(people, keypoints=keypoints)
        self._picture, self._time = picture, time
        self._keypoints = dict(zip(people.ids.tolist(), people.keypoints, strict=True))
        return people


def _followed(before: Image, now: Image, start: Float, guess: Float, height: int) -> tuple[Float, Bool]:
    """Where points [N, 17, 2] of a frame of this height went, and whether that is to be believed, bool [N, 17]."""
    scale = np.float32(before.shape[0] / height)
    first = np.ascontiguousarray(start.reshape(-1, 1, 2) * scale, np.float32)
    options: dict[str, Any] = {"winSize": PATCH, "maxLevel": LEVELS, "flags": cv2.OPTFLOW_USE_INITIAL_FLOW}
    expected = np.ascontiguousarray(guess.reshape(-1, 1, 2) * scale, np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, now, first, expected, **options)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(now, before, there, first.copy(), **options)
    miss = np.linalg.norm((np.asarray(back) - first)[:, 0], axis=1)
    sure = (np.asarray(found)[:, 0] == 1) & (np.asarray(returned)[:, 0] == 1) & (miss < THERE_AND_BACK)
    return np.asarray(there, np.float32).reshape(start.shape) / scale, sure.reshape(start.shape[:2])


def _grey(image: Image) -> Image:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    if image.shape[0] > HEIGHT:
        grey = cv2.resize(
            grey, (max(image.shape[1] * HEIGHT // image.shape[0], 1), HEIGHT), interpolation=cv2.INTER_AREA
        )
    return np.asarray(grey, np.uint8)
