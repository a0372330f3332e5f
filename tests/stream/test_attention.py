"""Who is looked at and when: people must not be lost, doubled or made up between two detections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from models.tasks import Boxes, Float, Image, Window
from stream.attention import Attention, Pace
from stream.config import StreamConfig, TrackConfig
from stream.metrics import Metrics
from stream.perception import Perception
from stream.types import Frame, People

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


def attention(world: World, pace: Pace, *, metrics: Metrics | None = None) -> Attention:
    perception = Perception(world.detector, world.pose, world.masks)
    return Attention(perception, pace, TrackConfig(), metrics or Metrics())


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
