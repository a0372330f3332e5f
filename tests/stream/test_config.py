"""The options themselves, as Python code uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from stream.assembly import assemble
from stream.config import Config, PoseConfig, StreamConfig
from stream.metrics import Metrics


def test_a_configuration_cannot_be_changed_while_it_is_in_use() -> None:
    with pytest.raises(ValidationError):
        Config().decode.threads = 3


def test_types_are_not_guessed() -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"threads": "3"})


def test_a_validation_error_does_not_repeat_the_credentials_it_is_about() -> None:
    with pytest.raises(ValidationError) as failure:
        StreamConfig.model_validate({"id": "a", "source": ["rtsp://me:hunter2@cam/1"]})
    assert "hunter2" not in str(failure.value)


def test_two_streams_of_one_id_are_refused() -> None:
    stream = StreamConfig(id="a", source="testpattern://64x48@25")
    with pytest.raises(ValidationError, match="a is taken"):
        Config(streams=(stream, stream))


def test_masks_without_keypoints_are_refused() -> None:
    with pytest.raises(ValueError, match="placed by keypoints"):
        assemble(Config(pose=PoseConfig(model=None)), Metrics())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"source": "rtsp://cam/1", "policy": "every"}, "a feed does not wait until it is asked"),
        ({"source": "a.mp4", "policy": "latest"}, "give pace: realtime as well"),
        ({"source": "a.mp4", "max_latency_ms": 200}, "nothing is dropped from a stream whose policy is every"),
        (
            {"source": "a.mp4", "policy": "every", "max_latency_ms": 200},
            "nothing is dropped from a stream whose policy",
        ),
        ({"source": "rtsp://cam/1", "max_latency_ms": -1}, "greater than or equal to 0"),
    ],
)
def test_a_policy_that_does_not_fit_the_source_is_accepted(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        StreamConfig.model_validate({"id": "a", **options})


def test_a_file_drops_or_a_feed_waits_unless_asked_otherwise() -> None:
    film = {"id": "a", "source": "a.mp4"}
    assert not StreamConfig.model_validate({**film, "max_latency_ms": 0}).drops
    assert StreamConfig.model_validate({**film, "pace": "realtime", "policy": "latest", "max_latency_ms": 90}).drops
    assert StreamConfig(id="a", source="rtsp://cam/1", max_latency_ms=200).drops


def test_a_stream_is_made_whose_address_can_never_work() -> None:
    for source in ("foo://x/y", "rtsp://", "rtsp://me:hunter2@cam:99999/1", "udp://0.0.0.0"):
        with pytest.raises(ValidationError, match="must name|no such kind") as failure:
            StreamConfig(id="a", source=source)
        assert "hunter2" not in str(failure.value)


def test_people_who_stand_still_are_to_be_looked_at_more_often_than_the_others() -> None:
    with pytest.raises(ValidationError, match="must not be less than pose.every, which is 4; leave it out"):
        PoseConfig(every=4, still_every=2)
    assert PoseConfig(every=4).still_every == 1, "which means as often"
    assert PoseConfig(every=4, still_every=4).still_every == 4


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"publish": {"endpoint": "tcp://*:5555", "replay_port": 5555}}, "publish.endpoint has this one"),
        ({"publish": {"endpoint": "tcp://*:0", "replay_port": 5555}, "web": {"address": "[::1]:5555"}}, "replay_port"),
        ({"publish": {"endpoint": "tcp://a:80"}, "control": {"endpoint": "tcp://a:80"}}, "publish.endpoint has"),
        ({"control": {"endpoint": "tcp://127.0.0.1:80"}, "web": {"address": "localhost:80"}}, "control.endpoint has"),
        ({"publish": {"endpoint": "ipc://a"}, "control": {"endpoint": "ipc://a.replay"}}, "publish.replay_port has"),
    ],
)
def test_two_sockets_listen_at_one_address(options: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Config.model_validate(options)


@pytest.mark.parametrize(
    "options",
    [
        {"publish": {"endpoint": "tcp://*:0"}, "control": {"endpoint": "tcp://*:*"}, "web": {"address": "0.0.0.0:0"}},
        {"publish": {"endpoint": "tcp://10.0.0.1:80"}, "control": {"endpoint": "tcp://127.0.0.1:80"}},
        {"publish": {"endpoint": "tcp://a:80", "replay_port": 81, "replay_mib": 0}, "web": {"address": "a:81"}},
        {"publish": {"endpoint": "ipc://a"}, "control": {"endpoint": "ipc://b"}},
        {"publish": {"replay_port": 80}, "web": {"address": "a:80"}},
    ],
)
def test_addresses_that_keep_apart_are_refused(options: dict[str, object]) -> None:
    Config.model_validate(options)


def test_the_json_schema_names_every_section() -> None:
    schema = Config.model_json_schema()
    assert set(schema["properties"]) == set(Config.model_fields)
    assert schema["additionalProperties"] is False


def test_reading_a_configuration_loads_no_heavy_library() -> None:
    code = (
        "import sys, stream.settings; print([m for m in ('torch', 'cv2', 'av', 'zmq', 'openvino') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
