"""JSON lines: the agreed names, nothing that JSON cannot say, nothing believed unread."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.wire import SchemaError, from_json, to_json
from tests.stream.wire.samples import assert_same, make_result


def test_a_line_has_other_names_or_shapes_than_agreed() -> None:
    line = to_json(make_result())
    assert "\n" not in line
    record = json.loads(line)
    assert {
        "stream",
        "epoch",
        "seq",
        "pts",
        "captured_at",
        "published_at",
        "width",
        "height",
        "people",
    } <= record.keys()
    person = record["people"][0]
    assert {"id", "box", "score", "keypoints", "mask", "predicted"} <= person.keys()
    assert len(person["box"]) == 4 and np.shape(person["keypoints"]) == (17, 3)
    assert person["mask"].keys() == {"size", "counts", "origin"}
    assert record["people"][2]["mask"] is None


def test_a_line_says_something_else_than_the_result() -> None:
    result = make_result(people=12)
    people = result.people
    received = from_json(to_json(result))
    assert np.abs(received.people.boxes - people.boxes).max() <= 0.00501
    assert np.abs(received.people.keypoints[..., :2] - people.keypoints[..., :2]).max() <= 0.00501
    assert np.abs(received.people.keypoints[..., 2] - people.keypoints[..., 2]).max() <= 0.0000501
    assert_same(from_json(to_json(received)), received)  # what has been rounded once stays
    assert received.captured_at == result.captured_at and received.pts == result.pts
    assert [received.people.rle(i) for i in range(12)] == [people.rle(i) for i in range(12)]


def test_a_number_that_json_has_not_is_written() -> None:
    result = make_result()
    boxes = result.people.boxes.copy()
    boxes[1, 2] = np.nan
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(replace(result, people=replace(result.people, boxes=boxes)))


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "null", '{"v":[1,0]}', "[" * 100_000, '{"v":[1,' + "9" * 5000 + "]}", "\x00"]
)
def test_a_line_that_is_no_frame_crashes_a_reader(line: str) -> None:
    with pytest.raises(SchemaError):
        from_json(line)


@given(st.integers(0, 3000), st.binary(max_size=6), st.integers(0, 20))
def test_a_damaged_line_crashes_a_reader(start: int, damage: bytes, skip: int) -> None:
    line = to_json(make_result()).encode()
    with suppress(SchemaError):
        from_json(line[:start] + damage + line[start + skip :])
