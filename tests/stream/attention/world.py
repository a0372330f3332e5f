"""People who walk through a picture, and an attention that watches them: for the tests of who is looked at and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.tasks import Boxes, Float, Image, Window
from stream.attention.attention import Attention, Pace
from stream.attention.budget import Budget, Costs, Work
from stream.config import StreamConfig, TrackConfig
from stream.metrics import Metrics
from stream.perception import Perception
from stream.types import Frame, People
from tests.stream.attention.test_budget import Clock

FPS = 25.0
SIZE = (240, 320)
STREAM = StreamConfig(id="s", source="testpattern://320x240@25")


class World:
    """People who walk through a picture, as networks that see perfectly would find them.

    Every person is a bright bar; `people` has x and speed in pixels per frame of each. Counts what is asked of it.
    """

    def __init__(self, *people: tuple[float, float]) -> None:
        self.people = list(people)
        self.time = 0
        self.detections = 0
        self.posed: list[int] = []
        self.masked: list[int] = []
        self.blind = False

    def boxes(self) -> Float:
        places = [x + speed * self.time for x, speed in self.people]
        return np.array([[x - 15, 80, x + 15, 180] for x in places], np.float32).reshape(-1, 4)

    def image(self) -> Image:
        picture = np.full((*SIZE, 3), 40, np.uint8)
        for x1, y1, x2, y2 in self.boxes().astype(int).clip(0).tolist():
            picture[y1:y2, x1:x2] = 200
        return picture

    def frame(self, **changes: object) -> Frame:
        stamp = self.time / FPS
        return replace(Frame("s", 0, self.time, stamp, stamp, "file", self.image()), **changes)

    def detector(self, images: Sequence[Image]) -> list[Boxes]:
        self.detections += 1
        return [Boxes(self.boxes(), np.full(len(self.people), 0.9, np.float32)) for _ in images]

    def pose(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        self.posed.append(sum(map(len, boxes)))
        return [self._poses(of) for of in boxes]

    def _poses(self, boxes: Float) -> Float:
        """Everybody's keypoints lie in a grid in his box; whoever is nearest to a box that is asked for is seen."""
        here = self.boxes()
        found = np.zeros((len(boxes), 17, 3), np.float32)
        steps = np.linspace(0.1, 0.9, 17, dtype=np.float32)
        for row, box in enumerate(boxes):
            distance = np.abs(here[:, 0] - box[0])
            if len(here) and distance.min() < 20:
                x1, y1, x2, y2 = here[distance.argmin()]
                found[row, :, 0], found[row, :, 1] = x1 + (x2 - x1) * steps, y1 + (y2 - y1) * steps
                found[row, :, 2] = 0.05 if self.blind else 0.9
        return found

    def masks(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]:
        self.masked.append(sum(map(len, boxes)))
        return [
            [Window(np.ones((100, 30), np.bool_), (int(max(x1, 0)), int(y1))) for x1, y1, _, _ in of] for of in boxes
        ]


COSTS: dict[Work, float] = {"detections": 0.040, "keypoints": 0.004, "masks": 0.009}
"""Seconds a piece, in tests with a budget."""


def attention(
    world: World, pace: Pace, *, metrics: Metrics | None = None, costly: bool = False, each_batch: float = 0.0
) -> Attention:
    """One whose networks cost nothing, or as much as `COSTS` says."""
    metrics = metrics or Metrics()
    clock = Clock()

    def slow(work: Work, network: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        def run(images: Sequence[Image], *people: Sequence[Float]) -> list[Any]:
            pieces = sum(map(len, people[0])) if people else len(images)
            clock.now += COSTS[work] * pieces if costly else 0.0
            return network(images, *people)

        return run

    perception = Perception(
        slow("detections", world.detector), slow("keypoints", world.pose), slow("masks", world.masks)
    )
    return Attention(perception, pace, TrackConfig(), metrics, Budget(metrics, each_batch, Costs(clock)))


def watch(world: World, look: Attention, frames: int, stream: StreamConfig = STREAM) -> list[People]:
    seen = []
    for _ in range(frames):
        seen += look([world.frame()], {"s": stream})
        world.time += 1
    return seen
