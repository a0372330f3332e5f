"""The assignment: properties that hold for any similarities."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.tracking.association import assign

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
