"""Version 1 stays version 1: the committed messages are still written byte for byte, and still read."""

from __future__ import annotations

import json
from importlib.resources import files as resources
from typing import Any

import jsonschema
import msgpack
import numpy as np
import pytest

from stream.types import FrameResult, StreamInfo
from stream.wire import pack, unpack
from stream.wire._answers import read_answer, read_request
from tests.stream.wire import golden
from tests.stream.wire.samples import assert_same, make_result

SCHEMA = json.loads(resources("stream.wire").joinpath("schema_v1.json").read_text())
KINDS = {"frame": "frame", "info": "info", "status": "status"} | {
    f"replay_{kind}": kind for kind in ("request", "answer", "refusal")
}


def stored(name: str) -> tuple[bytes, dict[str, Any]]:
    body = (golden.FOLDER / f"{name}.msgpack").read_bytes()
    return body, json.loads((golden.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def validate(record: dict[str, Any], kind: str) -> None:
    jsonschema.validate(record, {**SCHEMA, "$ref": f"#/$defs/{kind}"}, jsonschema.Draft202012Validator)


@pytest.mark.parametrize("name", sorted(golden.files()))
def test_a_message_is_written_in_other_bytes_than_before(name: str) -> None:
    assert stored(name) == golden.files()[name]


def test_a_message_has_been_forgotten() -> None:
    assert {file.stem for file in golden.FOLDER.iterdir()} == set(golden.files())


@pytest.mark.parametrize("name", sorted(golden.MESSAGES))
def test_a_message_of_before_is_not_read(name: str) -> None:
    body, record = stored(name)
    message, expected = unpack(record["topic"].encode(), body), golden.MESSAGES[name]
    if isinstance(message, FrameResult):
        assert_same(message, expected)  # type: ignore[arg-type]
    else:
        assert message == expected


def test_a_publisher_of_version_1_0_is_not_understood() -> None:
    body, record = stored("info_1_0")
    info = unpack(record["topic"].encode(), body)
    assert isinstance(info, StreamInfo) and (info.run, info.replay) == ("", "") and info.fps == 25


def test_what_is_said_on_the_replay_socket_is_not_understood() -> None:
    assert read_request(stored("replay_request")[0]) == golden.REQUEST
    answer = read_answer(golden.REQUEST, [stored("replay_answer")[0]])
    assert (answer.run, answer.first, answer.to, answer.frames) == (golden.RUN, 100, 180, ())


@pytest.mark.parametrize("name", sorted(golden.files()))
def test_a_message_does_not_fit_the_published_schema(name: str) -> None:
    record = stored(name)[1]["body"]
    kind = KINDS[name if name in KINDS else name.partition("_")[0]]
    validate(record, kind)
    validate({**record, "v": [1, 99], "weather": "sunny"}, kind)  # a later version of 1 adds fields
    for broken in ({**record, "v": [2, 0]}, {name: value for name, value in record.items() if name != "v"}):
        with pytest.raises(jsonschema.ValidationError):
            validate(broken, kind)


def test_the_published_schema_is_no_schema_or_fits_no_live_frame() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    record = msgpack.unpackb(pack(make_result(people=6)))
    for person in record["people"]:
        person["keypoints"] = np.frombuffer(person["keypoints"], "<f4").reshape(17, 3).tolist()
    validate(record, "frame")
    record["people"][0]["box"].pop()
    with pytest.raises(jsonschema.ValidationError):
        validate(record, "frame")
