"""Messages: what goes in comes out, and what is not a message is refused, whatever it is."""

from __future__ import annotations

import json
import tracemalloc
from importlib.resources import files
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from stream.types import FrameResult, People
from stream.wire import SchemaError, StreamStatus, VersionError, pack, to_json, topic, unpack
from stream.wire.records import info_record, status_record
from tests.stream.wire.samples import assert_same, make_info, make_result

RESULT = make_result()
BODY = pack(RESULT)
TOPIC = b"people/lobby"


def changed(**fields: Any) -> bytes:
    """The body of `RESULT` with other fields."""
    body: bytes = msgpack.packb({**msgpack.unpackb(BODY), **fields})
    return body


def changed_person(**fields: Any) -> bytes:
    people = msgpack.unpackb(BODY)["people"]
    return changed(people=[{**people[0], **fields}, *people[1:]])


@pytest.mark.parametrize("people", [0, 1, 3, 60])
def test_a_frame_changes_on_its_way(people: int) -> None:
    result = make_result(people=people)
    assert topic(result) == TOPIC
    received = unpack(TOPIC, pack(result))
    assert isinstance(received, FrameResult)
    assert_same(received, result)


def test_frames_that_other_rooms_make_cannot_be_packed() -> None:
    nobody = People.none((96, 128))
    untracked = People.untracked(np.zeros((2, 4), np.float32), np.ones(2, np.float32), frame_size=(96, 128))
    for people in (nobody, untracked):
        result = FrameResult("lobby", 0, np.int64(3), np.float64(0.3), 1.0, "arrival", 2.0, np.int64(128), 96, people)  # type: ignore[arg-type]
        assert_same(unpack(TOPIC, pack(result)), result)  # type: ignore[arg-type]


def test_info_or_status_change_on_their_way() -> None:
    for message in (make_info(), StreamStatus("lobby", 2, "ended", 795, "the file is over")):
        assert unpack(topic(message), pack(message)) == message


def test_masks_differ_from_what_pycocotools_decodes() -> None:
    record = msgpack.unpackb(BODY)
    for i, person in enumerate(record["people"]):
        mask = person["mask"]
        if mask is not None:
            decoded = coco_mask.decode({"size": mask["size"], "counts": mask["counts"]})
            (x, y), (h, w) = mask["origin"], mask["size"]
            assert (RESULT.people.mask(i)[y : y + h, x : x + w] == decoded).all()  # type: ignore[index]


def test_another_major_version_is_read() -> None:
    with pytest.raises(VersionError, match=r"version 2\.0 and this program reads 1\.x"):
        unpack(TOPIC, changed(v=[2, 0], people="something else entirely"))


def test_a_newer_minor_version_or_an_unknown_field_is_refused() -> None:
    received = unpack(TOPIC, changed(v=[1, 7], weather="sunny"))
    assert_same(received, RESULT)  # type: ignore[arg-type]
    unpack(TOPIC, changed_person(mood="fine"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "MessagePack"),
        (BODY[:-1], "MessagePack"),
        (BODY + b"\x00", "MessagePack"),
        (msgpack.packb([1, 2]), "the message is a list, not a map"),
        (msgpack.packb({}), "'v' is missing"),
        (changed(v=1), "'v' is an integer, not a list"),
        (changed(v=[1]), "'v' has 1 values, not 2"),
        (changed(seq=-1), "'seq' is outside of 0.."),
        (changed(seq=1.5), "'seq' is a number, not an integer"),
        (changed(epoch=True), "'epoch' is true or false, not an integer"),
        (changed(pts=float("nan")), "'pts' is not a finite number"),
        (changed(clock="sundial"), "'clock' is 'sundial', none of arrival, file, ntp"),
        (changed(width=0), "'width' is outside of 1..65535"),
        (changed(stream="../../etc/passwd"), "an id has 1 to 200 letters"),
        (changed(stream="gate"), "brings stream 'gate'"),
        (changed(people={}), "'people' is a map, not a list"),
        (changed(people=[7]), "a person is an integer, not a map"),
        (changed_person(id=2**63), "'id' is outside of"),
        (changed_person(box=[0, 0, 1]), "'box' has 3 values, not 4"),
        (changed_person(box=[0, 0, 1, 1e39]), "'box' is not a finite number"),
        (changed_person(keypoints=b"\x00" * 203), "'keypoints' is not 204 bytes"),
        (changed_person(keypoints=np.full(51, np.inf, "<f4").tobytes()), "not finite"),
        (changed_person(predicted=None), "'predicted' is null, not true or false"),
        (changed_person(mask=b"x"), "a mask is bytes, not a map"),
        (changed_person(mask={"size": [2, 2], "counts": "\xe9", "origin": [0, 0]}), "not ASCII"),
        (changed_person(mask={"size": [65535, 65535], "counts": "0", "origin": [0, 0]}), "larger than"),
        (changed_person(mask={"size": [2, 2], "counts": "3", "origin": [0, 0]}), "run lengths"),
    ],
)
def test_a_wrong_field_is_taken_for_a_frame(body: bytes, says: str) -> None:
    with pytest.raises(SchemaError, match=says.replace("[", r"\[")):
        unpack(TOPIC, body)


def test_more_people_than_there_are_is_taken_for_a_frame() -> None:
    person = msgpack.unpackb(pack(make_result(people=3)))["people"][2]
    assert len(unpack(TOPIC, changed(people=[person] * 4096)).people) == 4096  # type: ignore[union-attr]
    with pytest.raises(SchemaError, match="limits of version 1"):
        unpack(TOPIC, changed(people=[person] * 4097))


def test_a_topic_of_no_kind_is_taken_for_a_frame() -> None:
    with pytest.raises(SchemaError, match="topics begin with people/, info/ or status/"):
        unpack(b"weather/lobby", BODY)


@given(st.binary(max_size=300))
def test_noise_crashes_a_reader(body: bytes) -> None:
    with pytest.raises(SchemaError):
        unpack(TOPIC, body)


@given(st.data())
def test_a_damaged_message_crashes_a_reader(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(BODY)))
    damage = data.draw(st.binary(max_size=8))
    skip = data.draw(st.integers(0, 40))
    survive(BODY[:start] + damage + BODY[start + skip :])


_ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=9)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


@given(st.sampled_from(sorted(msgpack.unpackb(BODY))), _ANYTHING)
def test_a_field_with_anything_in_it_crashes_a_reader(name: str, value: Any) -> None:
    survive(changed(**{name: value}))


@given(st.sampled_from(["id", "box", "score", "keypoints", "mask", "predicted", "velocity"]), _ANYTHING)
def test_a_person_with_anything_in_it_crashes_a_reader(name: str, value: Any) -> None:
    survive(changed_person(**{name: value}))


def survive(body: bytes) -> None:
    try:
        message = unpack(TOPIC, body)
    except SchemaError:
        return
    assert isinstance(message, FrameResult)
    for i in range(len(message.people)):
        message.people.mask(i)


def test_a_few_bytes_that_claim_billions_of_people_take_the_memory_for_them() -> None:
    four_billion, a_million_each, as_many_as_allowed = b"\xdd\xff\xff\xff\xff", b"\xdd\0\x10\0\0", b"\xdd\0\0\x10\0"
    tracemalloc.start()
    for bomb in (four_billion, a_million_each * 30, as_many_as_allowed * 500):
        with pytest.raises(SchemaError):
            unpack(TOPIC, bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20


def test_the_published_schema_names_other_fields_than_the_messages() -> None:
    definitions = json.loads(files("stream.wire").joinpath("schema_v1.json").read_text())["$defs"]
    frame = json.loads(to_json(RESULT))
    masks = [person["mask"] for person in frame["people"] if person["mask"]]
    for name, record in {
        "frame": frame,
        "person": frame["people"][0],
        "mask": masks[0],
        "info": info_record(make_info()),
        "status": status_record(StreamStatus("lobby", 0, "running", 0)),
    }.items():
        since_1_1 = {"info": ["run", "replay"]}.get(name, [])
        assert list(record) == definitions[name]["required"] + since_1_1 == list(definitions[name]["properties"]), name
    assert msgpack.unpackb(BODY).keys() == frame.keys()
