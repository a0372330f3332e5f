from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.detect import nms as on_arrays
from models.device import nms
from models.tasks import Float
from tests.models.device.running import Waits


def crowd(count: int, seed: int, *, people: int = 8, spread: float = 4) -> tuple[Float, Float]:
    """Boxes in clumps, as anchors around people give them, with scores of which some are equal."""
    random = np.random.default_rng(seed)
    middles = random.uniform(0, 500, (people, 2))[random.integers(0, people, count)]
    corner = middles + random.normal(0, spread, (count, 2))
    xyxy = np.concatenate([corner, corner + random.uniform(20, 60, (count, 2))], axis=1)
    return xyxy.astype(np.float32), random.choice(np.linspace(0.01, 0.99, 50), count).astype(np.float32)


def settled(valid: Tensor, too_near: Tensor) -> tuple[Tensor, int]:
    """Who is kept in the end, and after how many calls that is certain."""
    kept, final = nms.suppress(valid, too_near)
    calls = 1
    while not final.all():
        kept, final = nms.suppress(valid, too_near, kept)
        calls += 1
    return kept, calls


def found(
    xyxy: Float, scores: Float, size: tuple[int, int], iou: float, max_people: int, lowest: float = 1e-6
) -> list[tuple[Float, Float]]:
    """The people of B images of one size: xyxy [B, A, 4], scores [B, A]."""
    ranked = nms.candidates(torch.from_numpy(scores), lowest)
    boxes = torch.from_numpy(xyxy).gather(1, ranked.rows[..., None].expand(-1, -1, 4))
    kept, _ = settled(ranked.scores > 0, nms.suppressing(boxes, iou))
    sizes = torch.tensor(size, dtype=torch.float32).expand(len(xyxy), 2)
    people = nms.best_people(boxes, ranked.scores, kept, sizes, max_people)
    counts = (people.scores > 0).sum(dim=1).tolist()
    return [
        (of_image[:count].numpy(), own[:count].numpy()) for of_image, own, count in zip(*people, counts, strict=True)
    ]


@pytest.mark.parametrize("iou", [0.3, 0.65, 0.9])
@pytest.mark.parametrize("count", [1, 30, 400])
@pytest.mark.parametrize("max_people", [3, 100, 1000])
def test_other_people_are_kept_than_on_the_processor(count: int, iou: float, max_people: int) -> None:
    pairs = [crowd(count, seed) for seed in range(4)]
    ours = found(
        np.stack([xyxy for xyxy, _ in pairs]), np.stack([own for _, own in pairs]), (400, 450), iou, max_people
    )
    for (xyxy, scores), (boxes, sure) in zip(pairs, ours, strict=True):
        theirs = on_arrays.best_people(xyxy, scores, (400, 450), iou, max_people)
        np.testing.assert_array_equal(boxes, theirs.xyxy)
        np.testing.assert_array_equal(sure, theirs.scores)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.integers(0, 6)] * 2, *[st.integers(1, 6)] * 2, st.sampled_from([0.2, 0.5, 0.8])), max_size=14
    ),
    st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]),
)
def test_ties_in_score_or_at_the_limit_are_decided_otherwise(
    boxes: list[tuple[int, int, int, int, float]], iou: float
) -> None:
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    xyxy = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
    theirs = on_arrays.best_people(xyxy, rows[:, 4].copy(), (9, 9), iou, 5)
    ((ours, scores),) = found(xyxy[None], rows[None, :, 4].copy(), (9, 9), iou, 5)
    np.testing.assert_array_equal(ours, theirs.xyxy)
    np.testing.assert_array_equal(scores, theirs.scores)


def chain(links: int) -> Float:
    """Boxes of which each is too near to the next alone: every second one is kept."""
    left = np.arange(links, dtype=np.float32) * 4
    return np.stack([left, np.zeros_like(left), left + 10, np.full_like(left, 10)], axis=1)


def test_a_long_chain_is_called_settled_before_it_is() -> None:
    boxes = torch.from_numpy(chain(nms.ROUNDS * 3))[None]
    valid = torch.ones(boxes.shape[:2], dtype=torch.bool)
    kept, calls = settled(valid, nms.suppressing(boxes, 0.3))
    assert kept[0].tolist() == [number % 2 == 0 for number in range(boxes.shape[1])]
    assert calls > 2


def test_one_image_that_is_not_settled_holds_up_or_changes_the_others() -> None:
    long, short = chain(40), np.zeros((40, 4), np.float32)
    short[:2] = chain(2)
    boxes = torch.from_numpy(np.stack([long, short]))
    valid = torch.tensor([[True] * 40, [True] * 2 + [False] * 38])
    kept, final = nms.suppress(valid, nms.suppressing(boxes, 0.3))
    assert final.tolist() == [False, True]
    assert kept[1].tolist() == [True] + [False] * 39


def test_images_of_a_large_batch_are_compared_with_others() -> None:
    boxes = torch.from_numpy(np.stack([crowd(20, seed)[0] for seed in range(40)]))
    whole = nms.suppressing(boxes, 0.3)
    for number in (0, 15, 16, 39):
        assert torch.equal(whole[number], nms.suppressing(boxes[number : number + 1], 0.3)[0])


def test_nobody_in_sight_is_somebody() -> None:
    xyxy, scores = crowd(30, 0)
    ((boxes, _),) = found(xyxy[None], scores[None], (400, 450), 0.65, 100, lowest=1.0)
    assert boxes.shape == (0, 4)


def test_of_too_many_candidates_the_best_are_left_out() -> None:
    scores = torch.rand(2, nms.CANDIDATES + 50) + 0.1
    ranked = nms.candidates(scores, 0.1)
    assert ranked.scores.shape == (2, nms.CANDIDATES)
    np.testing.assert_array_equal(ranked.scores[0], np.sort(scores[0].numpy())[::-1][: nms.CANDIDATES])
    assert ranked.total.tolist() == (scores >= 0.1).sum(dim=1).tolist()


def test_a_logit_that_is_no_number_is_the_best_candidate() -> None:
    ranked = nms.candidates(torch.tensor([[0.3, float("nan"), 0.5]]), 0.1)
    assert ranked.rows[0, :2].tolist() == [2, 0]
    assert ranked.total.tolist() == [2]


def test_it_makes_the_host_wait() -> None:
    xyxy, scores = crowd(30, 0)
    with Waits() as waits:
        ranked = nms.candidates(torch.from_numpy(scores)[None], 0.1)
        boxes = torch.from_numpy(xyxy)[None].gather(1, ranked.rows[..., None].expand(-1, -1, 4))
        kept, _ = nms.suppress(ranked.scores > 0, nms.suppressing(boxes, 0.5))
        nms.best_people(boxes, ranked.scores, kept, torch.ones(1, 2), 10)
    assert waits.noted == []
