"""rtmlib's own parts as a chain: YOLOX-tiny at 416 x 416 and RTMPose-s; without ids and masks."""

from __future__ import annotations

import numpy as np
from rtmlib import YOLOX, RTMPose
from rtmlib.tools.solution.pose_tracker import pose_to_bbox


class People:
    """Finds the people of any number of streams.

    Args:
        every: frames of a stream from one detection to the next; in between the boxes are those around the keypoints of
            the frame before, as rtmlib's `PoseTracker` makes them. Its ids are left out: they change at every frame.
    """

    def __init__(self, detector: str, pose: str, backend: str, every: int = 1) -> None:
        self._detector = YOLOX(detector, model_input_size=(416, 416), backend=backend, device="cpu")
        self._pose = RTMPose(pose, model_input_size=(192, 256), backend=backend, device="cpu")
        self._every = every
        self._frames: dict[str, int] = {}
        self._boxes: dict[str, list[np.ndarray]] = {}

    def __call__(self, stream: str, image: np.ndarray) -> int:
        """How many people are in the next frame of a stream; their keypoints are found as well."""
        number = self._frames.get(stream, 0)
        self._frames[stream] = number + 1
        boxes = self._detector(image) if number % self._every == 0 else self._boxes[stream]
        if len(boxes) == 0:
            self._boxes[stream] = []
            return 0
        keypoints, _ = self._pose(image, bboxes=boxes)
        if self._every > 1:
            self._boxes[stream] = [pose_to_bbox(points) for points in keypoints]
        return len(boxes)
