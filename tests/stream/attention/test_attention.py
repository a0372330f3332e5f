"""Who is looked at and when: people must not be lost, doubled or made up between two detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import pytest

from models.tasks import Boxes, Float, Image, Window
from stream.attention.attention import Attention, Pace
from stream.attention.budget import PATIENCE, PUT_OFF, Budget, Costs, Work
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


def test_looking_at_every_frame_skips_a_network() -> None:
    world = World((60, 2), (200, -1))
    watch(world, attention(world, Pace()), 6)
    assert world.detections == 6 and world.posed == [2] * 6
    assert world.masked == [2] * 6


def test_between_detections_people_lose_their_ids_or_lag_behind() -> None:
    world = World((60, 2), (200, -1.5))
    everyone = watch(world, attention(world, Pace(detector=8, pose=1, masks=1)), 40)
    assert world.detections <= 7
    for time, people in enumerate(everyone):
        assert people.ids.tolist() == [1, 2]
        expected = np.array([60 + 2 * time, 200 - 1.5 * time])
        middle = (people.boxes[:, 0] + people.boxes[:, 2]) / 2
        assert time < 4 or np.abs(middle - expected).max() < 2.5
        assert not people.predicted.any()


def test_whoever_was_not_looked_at_is_told_as_seen() -> None:
    world = World((60, 2), (120, 2), (180, 2))
    everyone = watch(world, attention(world, Pace(detector=12, pose=3, masks=1)), 12)
    looked = [int((~people.predicted).sum()) for people in everyone]
    assert looked == [3] + [1] * 11, "not one of three in turn"
    assert world.posed == looked
    turns = [people.ids[~people.predicted].tolist() for people in everyone[1:10]]
    assert sorted(chain(*turns[:3])) == [1, 2, 3] == sorted(chain(*turns[3:6]))
    carried = everyone[11]
    middle = carried.keypoints[:, :, 0].mean(axis=1)
    np.testing.assert_allclose(middle, [60 + 22, 120 + 22, 180 + 22], atol=3)


def test_whoever_stands_still_is_looked_at_as_often_as_the_others() -> None:
    world = World((60, 2), (200, 0))
    watch(world, attention(world, Pace(detector=40, pose=1, still=6)), 20)
    assert world.posed[2:14] == [1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    world.people[1] = (200 - 3 * world.time, 3)
    watch(world, attention(world, Pace(detector=40, pose=1, still=6)), 6)
    assert world.posed[-4:] == [2, 2, 2, 2], "who begins to move was overlooked"


def test_a_newcomer_waits_for_the_next_detection() -> None:
    metrics = Metrics()
    world = World((60, 0))
    look = attention(world, Pace(detector=50), metrics=metrics)
    watch(world, look, 10)
    world.people.append((250, -1))
    everyone = watch(world, look, 4)
    assert 2 in everyone[-1].ids and len(everyone[-1]) == 2
    assert metrics.counted("detections for motion", "s") >= 1


def test_a_flag_in_the_wind_costs_a_detection_in_every_frame() -> None:
    world = World((60, 0))
    look = attention(world, Pace(detector=50))
    for time in range(40):
        frame = world.frame()
        frame.image[20:60, 240:300] = 200 if time % 2 else 40
        look([frame], {"s": STREAM})
        world.time += 1
    assert world.detections <= 4


def test_somebody_who_is_not_recognised_is_followed_all_the_same() -> None:
    world = World((60, 0), (200, 0))
    look = attention(world, Pace(detector=50))
    watch(world, look, 5)
    before = world.detections
    world.blind = True
    (people,) = watch(world, look, 1)
    assert people.predicted.all() and (people.keypoints[..., 2] > 0.5).all(), "what was not recognised is shown"
    world.people.pop()
    world.blind = False
    (people,) = watch(world, look, 1)
    assert world.detections == before + 1, "no detection came early"
    assert people.ids.tolist() == [1] and not people.predicted.any()


def test_two_tracks_go_on_with_one_person() -> None:
    world = World((100, 3), (190, -3))
    look = attention(world, Pace(detector=50))
    for people in watch(world, look, 30):
        middle = (people.boxes[:, 0] + people.boxes[:, 2]) / 2
        assert len(set(people.ids.tolist())) == len(people)
        if len(people) == 2:
            points = people.keypoints[:, :, 0].mean(axis=1)
            assert abs(points[0] - points[1]) > 0.01 or abs(middle[0] - middle[1]) < 25


@pytest.mark.parametrize("every", [1, 3])
def test_masks_are_made_in_every_frame_or_stay_behind(every: int) -> None:
    world = World((60, 2), (120, 2), (180, 2))
    everyone = watch(world, attention(world, Pace(masks=every)), 9)
    assert world.masked == [3, *[3 if every == 1 else 1] * 8]
    for time, people in enumerate(everyone):
        left = [mask.origin[0] for mask in people.masks if mask is not None]
        assert len(left) == 3
        np.testing.assert_allclose(left, [45 + 2 * time, 105 + 2 * time, 165 + 2 * time], atol=4)


def test_a_network_that_sees_the_whole_picture_looks_at_it_for_one_person_after_the_other() -> None:
    world = World((60, 2), (120, 2), (180, 2))
    perception = Perception(world.detector, world.pose, world.masks, masks_together=True)
    look = Attention(perception, Pace(masks=4), TrackConfig(), Metrics())
    watch(world, look, 13)
    assert world.masked == [3, 3, 3, 3]
    world.people.append((300, 0))
    watch(world, look, 3)
    assert world.masked == [3, 3, 3, 3, 4]


def test_masks_are_made_for_a_stream_that_wants_none() -> None:
    world = World((60, 2))
    (people,) = watch(world, attention(world, Pace()), 1, STREAM.model_copy(update={"masks": False}))
    assert people.masks == () and world.masked == []


def test_an_id_outlives_the_connection() -> None:
    world = World((60, 0), (200, 0))
    look = attention(world, Pace(detector=10))
    watch(world, look, 3)
    world.people.pop(0)
    (people,) = look([world.frame(epoch=1)], {"s": STREAM})
    assert people.ids.tolist() == [1]


def test_people_outside_of_the_region_are_shown_between_detections() -> None:
    region = STREAM.model_copy(update={"region": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))})
    world = World((100, 4), (250, 0))
    everyone = watch(world, attention(world, Pace(detector=40)), 30, region)
    assert [len(people) for people in everyone[:10]] == [1] * 10
    assert len(everyone[-1]) == 0, "who left the region is still shown"


def test_keypoints_are_looked_at_that_the_tracker_ignores() -> None:
    world = World((60, 0), (200, 0))
    scores = np.array([0.9, 0.4], np.float32)
    world.detector = lambda images: [Boxes(world.boxes(), scores) for _ in images]  # type: ignore[method-assign]
    watch(world, attention(world, Pace()), 3)
    assert world.posed == [1, 1, 1], "a faint one whom nobody knows"
    scores[1] = 0.9
    look = attention(world, Pace())
    watch(world, look, 3)
    scores[1] = 0.4
    (people,) = watch(world, look, 1)
    assert world.posed[-1] == 2 and people.ids.tolist() == [1, 2], "a faint one who is followed is none"


@pytest.mark.parametrize("every", [1, 40])
def test_keypoints_are_looked_at_outside_of_the_region(every: int) -> None:
    region = STREAM.model_copy(update={"region": ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))})
    world = World((100, 0), (250, 0))
    watch(world, attention(world, Pace(detector=every)), 5, region)
    assert world.posed == [1] * 5


def test_whoever_walks_outside_of_the_region_costs_a_detection_in_every_frame() -> None:
    region = STREAM.model_copy(update={"region": ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))})
    world = World((60, 0), (200, 1.5))
    watch(world, attention(world, Pace(detector=40)), 40, region)
    assert world.detections <= 6


def test_masks_that_were_not_wanted_for_a_while_are_as_old_as_before() -> None:
    world = World((60, 2))
    look = attention(world, Pace(masks=12))
    watch(world, look, 2)
    watch(world, look, 20, STREAM.model_copy(update={"masks": False}))
    watch(world, look, 1)
    assert len(world.masked) == 2


def test_keypoints_and_masks_that_the_detector_found_go_to_others() -> None:
    """The first of three is too faint to count: the rows behind it move up."""
    world = World((60, 0), (150, 0), (250, 0))
    scores = np.array([0.4, 0.9, 0.9], np.float32)

    def detector(images: Sequence[Image]) -> list[Boxes]:
        boxes = world.boxes()
        windows: list[Window | None] = [Window(np.ones((9, 9), np.bool_), (int(x1), 80)) for x1 in boxes[:, 0]]
        return [Boxes(boxes, scores, world._poses(boxes), lambda: windows) for _ in images]

    look = Attention(Perception(detector), Pace(), TrackConfig(), Metrics())
    people = watch(world, look, 2)[-1]
    assert people.ids.tolist() == [1, 2]
    np.testing.assert_allclose(people.keypoints[:, :, 0].mean(axis=1), [150, 250], atol=1)
    assert [mask.origin for mask in people.masks if mask] == [(135, 80), (235, 80)]


def test_of_two_with_the_same_pose_one_remains_whom_the_tracker_ignores() -> None:
    world = World((60, 0))

    def detector(images: Sequence[Image]) -> list[Boxes]:
        return [Boxes(np.repeat(world.boxes(), 2, axis=0), np.array([0.7, 0.6], np.float32)) for _ in images]

    def pose(images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]:
        found = [world._poses(of) for of in boxes]
        for of_image in found:
            of_image[:, :, 2] = np.array([0.5, 0.9])[: len(of_image), None]  # the faint one has the better keypoints
        return found

    look = Attention(Perception(detector, pose, same_pose=0.9), Pace(), TrackConfig(), Metrics())
    assert watch(world, look, 2)[-1].ids.tolist() == [1]


def test_a_long_gap_is_bridged_by_carrying_on() -> None:
    world = World((60, 0))
    look = attention(world, Pace(detector=1000))
    watch(world, look, 5)
    before = world.detections
    world.time += int(10 * FPS)
    watch(world, look, 1)
    assert world.detections == before + 1


def test_a_pace_without_a_pose_network_cannot_follow() -> None:
    world = World((60, 2))
    look = Attention(Perception(world.detector), Pace(detector=5), TrackConfig(), Metrics())
    everyone = watch(world, look, 15)
    middle = [(people.boxes[0, 0] + people.boxes[0, 2]) / 2 for people in everyone[6:]]
    np.testing.assert_allclose(middle, [60 + 2 * time for time in range(6, 15)], atol=3)
    assert world.detections < 8


def test_a_stream_that_was_removed_is_remembered() -> None:
    world = World((60, 0))
    look = attention(world, Pace(detector=10))
    watch(world, look, 3)
    look.forget("s")
    look.forget("never heard of")
    before = world.detections
    watch(world, look, 1)
    assert world.detections == before + 1


def test_forgetting_somebody_mixes_up_those_who_are_followed() -> None:
    world = World((40, 0), (120, 0), (200, 0), (280, 0))
    look = attention(world, Pace(detector=3))
    watch(world, look, 6)
    world.people.pop(1)  # the track stays for a while and is then forgotten, between two frames of the others
    everyone = watch(world, look, 80)
    assert all(people.ids.tolist() == [1, 3, 4] for people in everyone[3:])
    np.testing.assert_allclose(everyone[-1].boxes[:, 0], [25, 185, 265], atol=1)


def put_off(metrics: Metrics, stream: str = "s") -> dict[str, int]:
    return {work: metrics.counted(PUT_OFF + work, stream) for work in COSTS}


def spent(world: World) -> float:
    """Seconds that the networks took so far."""
    return (
        COSTS["detections"] * world.detections
        + COSTS["keypoints"] * sum(world.posed)
        + COSTS["masks"] * sum(world.masked)
    )


@pytest.mark.parametrize(
    ("budget_ms", "waits"),
    [(60, set()), (40, {"masks"}), (15, {"masks", "keypoints"}), (6, {"masks", "keypoints", "detections"})],
)
def test_what_matters_more_is_put_off_first(budget_ms: float, waits: set[str]) -> None:
    world, metrics = World((60, 1), (120, 1), (180, 1)), Metrics()
    look = attention(world, Pace(detector=8, pose=1, masks=1), metrics=metrics, costly=True)
    stream = STREAM.model_copy(update={"budget_ms": float(budget_ms)})
    everyone = watch(world, look, 60, stream)
    assert {work for work, times in put_off(metrics).items() if times} == waits
    if "detections" not in waits:
        assert spent(world) / 60 <= budget_ms * 1.2e-3, "the budget was not kept"
    assert all(people.ids.tolist() == [1, 2, 3] for people in everyone)


def test_somebody_starves_when_there_is_hardly_any_time() -> None:
    world, metrics = World((60, 1), (120, 1), (180, 1)), Metrics()
    look = attention(world, Pace(detector=8, pose=2, masks=3), metrics=metrics, costly=True)
    everyone = watch(world, look, 100, STREAM.model_copy(update={"budget_ms": 0.1}))
    assert all(put_off(metrics).values())
    for row in range(3):
        unseen = longest(people.predicted[row] for people in everyone)
        assert unseen < PATIENCE * 2, "not looked at for too long"
        bare = longest(people.masks[row] is None for people in everyone)
        assert bare <= PATIENCE * 3, "no mask for too long"
    assert 100 / 8 > world.detections >= 100 // (PATIENCE * 8)


def longest(states: Iterable[bool]) -> int:
    """Frames of the longest run of True."""
    best = now = 0
    for state in states:
        now = now + 1 if state else 0
        best = max(best, now)
    return best


def test_a_detection_that_is_asked_for_is_put_off() -> None:
    world, metrics = World((60, 0)), Metrics()
    look = attention(world, Pace(detector=50), metrics=metrics, costly=True)
    stream = STREAM.model_copy(update={"budget_ms": 0.1})
    watch(world, look, 10, stream)
    world.people.append((250, -1))
    everyone = watch(world, look, 4, stream)
    assert 2 in everyone[-1].ids


def test_a_newcomer_waits_with_a_detection_that_was_put_off() -> None:
    world, metrics = World((60, 0)), Metrics()
    look = attention(world, Pace(detector=5), metrics=metrics, costly=True)
    stream = STREAM.model_copy(update={"budget_ms": 0.1})
    watch(world, look, 12, stream)
    assert put_off(metrics)["detections"]
    world.people.append((250, -1))
    assert 2 in watch(world, look, 4, stream)[-1].ids


def test_a_budget_cannot_help_where_everything_is_looked_at_in_every_frame() -> None:
    world, metrics = World((60, 1), (160, 1)), Metrics()
    look = attention(world, Pace(), metrics=metrics, costly=True)
    watch(world, look, 40, STREAM.model_copy(update={"budget_ms": 30.0}))
    assert 40 / PATIENCE <= world.detections <= 25
    assert spent(world) / 40 < 0.036


def test_one_stream_pays_for_the_others() -> None:
    crowd, alone, metrics = World(*((20 + 30 * i, 0) for i in range(10))), World((60, 0)), Metrics()
    world = World()
    world.detector = lambda images: [boxes for image in images for boxes in pick(image).detector([image])]  # type: ignore[method-assign]
    world.pose = lambda images, boxes: [  # type: ignore[method-assign]
        points for image, of in zip(images, boxes, strict=True) for points in pick(image).pose([image], [of])
    ]
    world.masks = lambda images, boxes, keypoints: [  # type: ignore[method-assign]
        windows
        for image, of, points in zip(images, boxes, keypoints, strict=True)
        for windows in pick(image).masks([image], [of], [points])
    ]

    def pick(image: Image) -> World:
        return crowd if image[100, 20].max() > 100 else alone

    streams = {id_: STREAM.model_copy(update={"id": id_}) for id_ in ("crowd", "alone")}
    look = attention(world, Pace(detector=8), metrics=metrics, costly=True, each_batch=0.06)
    for _ in range(60):
        look([crowd.frame(stream="crowd"), alone.frame(stream="alone")], streams)
        crowd.time = alone.time = crowd.time + 1
    assert sum(put_off(metrics, "alone").values()) < 5, "a stream that wants little waits"
    assert put_off(metrics, "crowd")["masks"] > 100
    assert (spent(crowd) + spent(alone)) / 60 < 0.07
