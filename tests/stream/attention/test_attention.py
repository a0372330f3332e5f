"""Who is looked at and when: people must not be lost, doubled or made up between two detections."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pytest

from models.tasks import Boxes, Float, Image, Window
from stream.attention.attention import Attention, Pace
from stream.config import TrackConfig
from stream.metrics import Metrics
from stream.perception import Perception
from tests.stream.attention.world import FPS, STREAM, World, attention, watch


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
