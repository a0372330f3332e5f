"""What waits when there is too little time for all: what matters most must not, and nothing for ever."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from models.tasks import Image
from stream.attention.attention import Pace
from stream.attention.budget import PATIENCE, PUT_OFF
from stream.metrics import Metrics
from tests.stream.attention.world import COSTS, STREAM, World, attention, watch


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
