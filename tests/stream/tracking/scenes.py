"""Made-up scenes: people who walk, as a perfect or a bad detector would see them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stream.types import People

FRAME = (1080, 1920)


def person(x: float, y: float, *, height: float = 200.0, pose: int = 0) -> tuple[npt.NDArray, npt.NDArray]:
    """Box [4] and keypoints [17, 3] of somebody whose centre is at (x, y); each number `pose` is another posture."""
    width = 0.4 * height
    box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)
    places = np.random.default_rng(pose).uniform(box[:2], box[2:], (17, 2))
    keypoints = np.concatenate([places, np.full((17, 1), 0.9)], axis=1)
    return box, keypoints.astype(np.float32)


def people(*persons: tuple[npt.NDArray, npt.NDArray], score: float = 0.9) -> People:
    """These persons in one frame."""
    boxes = np.array([box for box, _ in persons], np.float32).reshape(-1, 4)
    keypoints = np.array([keypoints for _, keypoints in persons], np.float32).reshape(-1, 17, 3)
    return People.untracked(boxes, np.full(len(boxes), score, np.float32), keypoints, frame_size=FRAME)


def crowd(
    seed: int, *, walkers: int = 12, frames: int = 300, fps: float = 12.5, keypoints: bool = True
) -> Iterator[tuple[float, People, npt.NDArray, npt.NDArray]]:
    """Walkers seen by a middling detector: time, detections, and the true ids [n] and boxes [n, 4] of each frame.

    One detection in twelve is missing, who is covered by half is missing or has a low score, boxes err by 3 % of the
    height, one frame in four has a false alarm, and frames come up to a third of their distance late.
    """
    random = np.random.default_rng(seed)
    height = random.uniform(120, 260, walkers)
    start = random.uniform((100, 200), (1820, 880), (walkers, 2))
    speed = random.normal(0, 0.5, (walkers, 2)) * height[:, None] * (1, 0.3)
    for frame in range(frames):
        time = (frame + random.uniform(0, 0.33)) / fps
        centre = start + speed * time
        centre[:, 0] = 1920 - np.abs(centre[:, 0] % 3840 - 1920)  # turns round at the borders
        half = height[:, None] * (0.2, 0.5)
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        covered = _covered(boxes)
        seen = (random.random(walkers) > 1 / 12) & (covered < random.uniform(0.5, 1, walkers))
        scores = np.where(covered > 0.4, random.uniform(0.2, 0.6, walkers), random.uniform(0.7, 0.95, walkers))
        found = boxes + random.normal(0, 0.03, (walkers, 4)) * height[:, None]
        if random.random() < 0.25:
            x, y, tall = random.uniform((0, 0, 80), (1800, 800, 300))
            found = np.concatenate([found, [[x, y, x + 0.4 * tall, y + tall]]])
            scores, seen = np.append(scores, random.uniform(0.3, 0.85)), np.append(seen, True)
        rows = random.permutation(np.flatnonzero(seen))
        poses = [person(*(box[:2] + box[2:]) / 2, height=box[3] - box[1], pose=n)[1] for n, box in enumerate(found)]
        detections = People.untracked(
            found[rows].astype(np.float32),
            scores[rows].astype(np.float32),
            np.array(poses, np.float32)[rows] if keypoints else None,
            frame_size=FRAME,
        )
        yield time, detections, np.arange(walkers), boxes


def _covered(boxes: npt.NDArray) -> npt.NDArray:
    """The share of each box that lies behind the box of somebody nearer, who stands lower in the picture."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    return (both * nearer).max(axis=1) / (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
