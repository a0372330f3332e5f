"""Masks between two looks: they move with their person, stay in the frame and are made in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.evaluate.agreement import iou
from stream.attention.masking import MaskMemory, moved
from stream.types import Float, Mask, People, Polygon

SIZE = (100, 200)


def people(*lefts: float, ids: tuple[int, ...] | None = None) -> People:
    boxes = np.array([[x, 20, x + 20, 80] for x in lefts], np.float32).reshape(-1, 4)
    made = People.untracked(boxes, np.ones(len(boxes), np.float32), frame_size=SIZE)
    return replace(made, ids=np.array(ids or range(1, len(lefts) + 1), np.int64))


def square(x: int) -> Mask:
    return Mask.encode(np.ones((60, 20), np.bool_), (x, 20))


@pytest.mark.parametrize("encode", [Mask.encode, Polygon.encode])
@pytest.mark.parametrize(
    ("way", "origin", "size"),
    [
        ((0.4, -0.4), (5, 6), (30, 10)),
        ((7.0, 3.0), (12, 9), (30, 10)),
        ((-8.0, -10.0), (0, 0), (26, 7)),
        ((188.0, 80.0), (193, 86), (14, 7)),
    ],
    ids=["not at all", "inside", "over the top left corner", "over the bottom right corner"],
)
def test_a_moved_mask_reaches_out_of_the_frame(encode, way, origin, size) -> None:
    mask = moved(encode(np.ones((30, 10), np.bool_), (5, 6)), np.array(way, np.float32), SIZE)
    assert (mask.origin, mask.size) == (origin, size)
    assert mask.decode(*SIZE).sum() == size[0] * size[1]


@pytest.mark.parametrize("together", [False, True])
def test_somebody_who_is_hidden_gets_the_mask_of_whoever_stands_there_now(together: bool) -> None:
    memory, both = MaskMemory(1, together=together), people(10, 100)
    memory.complete(both, [0, 1], [square(10), square(100)])
    second = replace(both, predicted=np.array([False, True]))
    rows, _ = memory.due(second)
    assert rows.tolist() == [0]
    assert memory.complete(second, [0], [square(10)]).masks == (square(10), None)


def test_masks_from_before_a_pause_are_shown_after_it() -> None:
    memory = MaskMemory(12)
    memory.complete(people(10), [0], [square(10)])
    memory.forget()
    assert memory.due(people(10))[0].tolist() == [0]


def test_a_mask_that_has_left_the_frame_is_an_error() -> None:
    gone = moved(square(10), np.array([-500, 0], np.float32), SIZE)
    assert gone.decode(*SIZE).sum() == 0


def test_masks_are_mixed_up_when_people_change_places() -> None:
    memory = MaskMemory(8)
    memory.complete(people(10, 100), [0, 1], [square(10), square(100)])
    now = memory.complete(people(104, 14, ids=(2, 1)), [], [])
    assert [mask.origin for mask in now.masks if mask] == [(104, 20), (14, 20)]


@pytest.mark.parametrize("encode", [Mask.encode, Polygon.encode])
def test_a_mask_stays_where_the_limbs_were(encode) -> None:
    before, now = people(10), people(30)
    before = replace(before, keypoints=standing(10)[None])
    now = replace(now, keypoints=standing(30)[None])
    memory = MaskMemory(8)
    memory.complete(before, [0], [encode(np.ones((60, 20), np.bool_), (10, 20))])
    (mask,) = memory.complete(now, [], []).masks
    assert isinstance(mask, Mask if encode is Mask.encode else Polygon)
    there = mask.decode(*SIZE)
    assert iou(there, square(30).decode(*SIZE)) > 0.95


def standing(left: float) -> Float:
    """Keypoints of somebody in a box of 20 x 60 pixels at (left, 20), who stands straight."""
    places = [(10, 4)] * 5 + [(5, 15), (15, 15), (4, 25), (16, 25), (4, 32), (16, 32)]
    places += [(6, 32), (14, 32), (6, 45), (14, 45), (6, 57), (14, 57)]
    return np.array([(left + x, 20 + y, 0.9) for x, y in places], np.float32)


def test_somebody_waits_longer_than_the_others_for_a_mask() -> None:
    memory, everybody = MaskMemory(4), people(10, 40, 70, 100)
    turns = []
    for _ in range(9):
        rows, late = memory.due(everybody)
        assert late == 0
        turns.append(rows.tolist())
        memory.complete(everybody, turns[-1], [square(10)] * len(rows))
    assert turns[0] == [0, 1, 2, 3]
    assert sorted(sum(turns[1:5], [])) == [0, 1, 2, 3] == sorted(sum(turns[5:9], []))  # noqa: RUF017


@pytest.mark.parametrize(("count", "every"), [(1, 5), (3, 12), (5, 3), (7, 1)])
def test_a_few_people_get_masks_more_often_than_they_should(count: int, every: int) -> None:
    memory, everybody = MaskMemory(every), people(*range(0, 10 * count, 10))
    made = []
    for _ in range(1 + 4 * every):
        rows, _ = memory.due(everybody)
        made.append(len(rows))
        memory.complete(everybody, rows.tolist(), [square(10)] * len(rows))
    assert made[0] == count
    assert abs(sum(made[1:]) - 4 * count) <= 1
    assert max(made[1:]) <= -(-count // every), "all of them in one frame"


@pytest.mark.parametrize("together", [False, True])
def test_whoever_is_put_off_is_never_late_or_forgotten(together: bool) -> None:
    memory, everybody = MaskMemory(2, together=together), people(10, 40)
    lates = []
    for _ in range(7):
        rows, late = memory.due(everybody)
        assert len(rows) == 2
        lates.append(late)
        assert memory.complete(everybody, [], []).masks == (None, None)
    assert lates == [0] * 5 + [2, 2], "a newcomer counts as one whose period is over"


def test_a_person_without_a_mask_is_asked_for_again_in_every_frame() -> None:
    memory, everybody = MaskMemory(2), people(10, 40)
    memory.complete(everybody, [0, 1], [None, square(40)])
    assert len(memory.due(everybody)[0]) == 1
    now = memory.complete(everybody, [], [])
    assert now.masks[0] is None and now.masks[1] is not None


def test_masks_of_people_who_left_are_kept() -> None:
    memory = MaskMemory(100)
    memory.complete(people(10, 40), [0, 1], [square(10), square(40)])
    memory.complete(people(40, ids=(2,)), [], [])
    assert memory.due(people(10, 40))[0].tolist() == [0]


def test_nobody_is_too_few_for_a_turn() -> None:
    for together in (False, True):
        memory = MaskMemory(3, together=together)
        rows, late = memory.due(people())
        assert (rows.tolist(), late) == ([], 0)
        assert memory.complete(people(), [], []).masks == ()
