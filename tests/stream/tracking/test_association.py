"""The assignment: properties that hold for any similarities."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.tracking.association import NOBODY, assign, assign_in_stages

Case = tuple[npt.NDArray, npt.NDArray]


@st.composite
def cases(draw: st.DrawFn, largest: int = 8) -> Case:
    """Similarities without ties, and which pairs are allowed."""
    shape = draw(st.tuples(st.integers(0, largest), st.integers(0, largest)))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random.uniform(0.01, 1, shape), random.random(shape) < draw(st.floats(0, 1))


@given(cases())
def test_no_person_and_no_track_is_used_twice(case: Case) -> None:
    rows, columns = assign(*case)
    assert len(set(rows.tolist())) == len(rows) == len(columns) == len(set(columns.tolist()))


@given(cases())
def test_a_forbidden_pair_is_never_made(case: Case) -> None:
    _, allowed = case
    assert allowed[assign(*case)].all()


@given(cases())
def test_two_who_only_have_each_other_come_together(case: Case) -> None:
    similarity, allowed = case
    alone = allowed & (allowed.sum(axis=0) == 1) & (allowed.sum(axis=1) == 1)[:, None]
    pairs = set(zip(*(x.tolist() for x in assign(similarity, allowed)), strict=True))
    assert set(zip(*(x.tolist() for x in alone.nonzero()), strict=True)) <= pairs


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_people_does_not_decide_who_is_who(case: Case, random: object) -> None:
    similarity, allowed = case
    order = np.random.default_rng(random.getrandbits(32)).permutation(similarity.shape[1])  # type: ignore[attr-defined]
    rows, columns = assign(similarity, allowed)
    again, shuffled = assign(similarity[:, order], allowed[:, order])
    assert dict(zip(rows, columns, strict=True)) == dict(zip(again, order[shuffled], strict=True))


@settings(max_examples=50)
@given(cases(largest=5))
def test_no_better_assignment_is_missed(case: Case) -> None:
    similarity, allowed = case
    gain = np.where(allowed, similarity, 0)
    if gain.shape[0] > gain.shape[1]:
        gain = gain.T
    n, m = gain.shape
    best = max(sum(gain[row, column] for row, column in enumerate(order)) for order in permutations(range(m), n))
    assert np.isclose(similarity[assign(similarity, allowed)].sum(), best)


def test_a_later_stage_takes_nobody_from_an_earlier_one() -> None:
    similarity = np.array([[0.5, 0.9, 0.8], [0.2, 0.9, 0.7]])
    everybody, tracks = np.ones(3, np.bool_), np.ones(2, np.bool_)
    first, second = np.array([True, False]), np.array([True, False, True])
    owners = np.full(3, NOBODY)
    assign_in_stages(owners, similarity, np.ones((2, 3), np.bool_), ((first, second), (tracks, everybody)))
    assert owners.tolist() == [NOBODY, 1, 0]


def test_who_has_a_track_already_is_not_given_another_nor_the_track_to_somebody_else() -> None:
    owners = np.array([1, NOBODY, NOBODY])
    everybody, tracks = np.ones(3, np.bool_), np.ones(2, np.bool_)
    assign_in_stages(owners, np.full((2, 3), 0.9), np.ones((2, 3), np.bool_), ((tracks, everybody),))
    assert owners[0] == 1
    assert sorted(owners[1:].tolist()) == [NOBODY, 0]
