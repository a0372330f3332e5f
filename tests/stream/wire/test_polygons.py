"""Masks as outlines on the wire and in JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stream.types import FrameResult, Mask, Polygon
from stream.wire import SchemaError, from_json, pack, to_json, unpack
from tests.stream.wire.samples import make_result


def outlined() -> FrameResult:
    result = make_result(people=6)
    masks = [
        Polygon.encode(mask.window(), mask.origin) if isinstance(mask, Mask) and i != 3 else mask
        for i, mask in enumerate(result.people.masks)
    ]
    return replace(result, people=replace(result.people, masks=tuple(masks)))


def test_outlines_arrive_as_something_else() -> None:
    """Beside run lengths and nothing, both of which may stand in one frame with them."""
    result = outlined()
    assert {type(mask) for mask in result.people.masks} == {Polygon, Mask, type(None)}
    received = unpack(b"people/lobby", pack(result))
    assert isinstance(received, FrameResult)
    assert received.people.masks == result.people.masks
    assert from_json(to_json(result)).people.masks == result.people.masks


@pytest.mark.parametrize(
    ("outlines", "reason"),
    [
        (7, "not a list"),
        ([[]], "has 0 numbers"),
        ([[1, 2, 3]], "has 3 numbers"),
        ([[1.5, 2]], "not an integer"),
        ([[True, 2]], "not an integer"),
        ([[-1, 2]], "outside of"),
        ([[1, 70_000]], "outside of"),
        ([[2**80, 0]], "outside of"),
    ],
)
def test_outlines_that_leave_their_window_reach_the_painter(outlines: Any, reason: str) -> None:
    record = json.loads(to_json(outlined()))
    record["people"][0]["mask"]["outlines"] = outlines
    with pytest.raises(SchemaError, match=reason):
        from_json(json.dumps(record))
