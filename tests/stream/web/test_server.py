"""The web server: who is let in, what it tells, and that it costs nothing when nobody looks."""

from __future__ import annotations

import json
import logging
import re
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

import stream.web.live
from stream.config import ConfigError, StreamConfig, WebConfig
from stream.pipeline import Pipeline
from stream.web import AddressError
from stream.web.guard import is_this_machine
from tests.stream.graphs import assembly, patterns
from tests.stream.sinks.scenes import make_scene
from tests.stream.web.runs import endless, eventually, served


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with served(endless("lobby", "320x240"), endless("yard")) as pipeline:
        yield pipeline


def get(pipeline: Pipeline, path: str, **options: Any) -> requests.Response:
    return requests.get(str(pipeline.url) + path, timeout=10, **options)


def post(pipeline: Pipeline, path: str, body: object = None, **options: Any) -> requests.Response:
    return requests.post(str(pipeline.url) + path, json=body, timeout=10, **options)


def pictures(body: bytes) -> dict[str, tuple[dict[str, Any], np.ndarray]]:
    found = {}
    while body:
        (length,) = struct.unpack_from(">I", body)
        head = json.loads(body[4 : 4 + length])
        end = 4 + length + head["bytes"]
        image = cv2.imdecode(np.frombuffer(body[4 + length : end], np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        found[head["stream"]] = (head, image)
        body = body[end:]
    return found


def test_pictures_are_old_or_lack_what_was_found(pipeline: Pipeline) -> None:
    seen: dict[str, Any] = {"lobby": None, "yard": None, "nobody": None}
    sizes, numbers = {}, []
    start = time.monotonic()
    while len(numbers) < 5:
        reply = post(pipeline, "api/pictures", {"width": 160, "seen": seen})
        assert reply.status_code == 200
        for id_, (head, image) in pictures(reply.content).items():
            assert seen[id_] != [head["epoch"], head["seq"]]
            seen[id_] = [head["epoch"], head["seq"]]
            sizes[id_] = image.shape
            if id_ == "lobby":
                numbers.append(head["seq"])
                assert pipeline.streams["lobby"].delivered - head["seq"] < 30
    assert sizes == {"lobby": (120, 160, 3), "yard": (64, 96, 3)}  # shrunk, and not enlarged
    assert numbers == sorted(set(numbers))
    assert time.monotonic() - start >= 4 / 12  # no faster than web.fps


def test_a_stream_that_nobody_looks_at_is_drawn_copied_or_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream.web.live, "GAZE", 0.3)
    drawn: list[str] = []
    draw = stream.web.live.draw
    monkeypatch.setattr(
        stream.web.live, "draw", lambda image, result, *rest: drawn.append(result.stream) or draw(image, result, *rest)
    )
    with served(endless("a"), endless("b")) as pipeline:
        (live,) = pipeline._recording._sinks
        assert isinstance(live, stream.web.live.Live)
        time.sleep(0.3)
        assert not drawn and not live._watched
        eventually(lambda: pictures(post(pipeline, "api/pictures", {"width": 160, "seen": {"a": None}}).content))
        assert set(drawn) == {"a"} and set(live._watched) == {"a"}
        eventually(lambda: not live._watched and not live._encoded)
        before = len(drawn)
        time.sleep(0.3)
        assert len(drawn) == before


def test_several_viewers_pay_for_the_same_picture() -> None:
    live = stream.web.live.Live()
    ((result, image),) = make_scene(1)
    live.look(result.stream)
    live.write(result, image)
    shot = live.look(result.stream)
    assert shot is not None
    assert live.picture(shot, 160) is live.picture(shot, 160)


def test_what_the_page_does_to_streams_is_not_done(pipeline: Pipeline) -> None:
    added = post(pipeline, "api/streams", {"source": "testpattern://96x64@25", "id": "new", "pace": "realtime"})
    assert added.status_code == 200 and added.json() == {"id": "new"}
    assert post(pipeline, "api/streams/new/pause").status_code == 200
    states = {s["id"]: s["state"] for s in get(pipeline, "api/streams").json()["streams"]}
    assert states["new"] == "paused"
    assert post(pipeline, "api/streams/new/resume").status_code == 200
    for change, status in (({"masks": False}, 200), ({"maks": False}, 400), ({}, 400), ([], 400)):
        assert requests.patch(f"{pipeline.url}api/streams/new", json=change, timeout=20).status_code == status
    assert not pipeline.streams["new"].config.masks
    assert requests.delete(f"{pipeline.url}api/streams/new", timeout=20).status_code == 200
    assert set(pipeline.streams) == {"lobby", "yard"}


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("api/streams", {"source": "nowhere.mp4"}, 400, "no such file or folder: nowhere.mp4"),
        ("api/streams", {"source": "testpattern://", "id": "lobby"}, 400, "lobby is taken"),
        ("api/streams", [1], 400, "must be a section of options"),
        ("api/streams/nobody/pause", None, 409, "nobody: there is no such stream"),
        ("api/streams/lobby/dance", None, 404, "none of pause, resume"),
        ("api/pictures", {"width": "wide", "seen": {}}, 400, "says `width`"),
        ("api/pictures", {"width": 1, "seen": {str(i): None for i in range(65)}}, 400, "at most 64"),
    ],
)
def test_a_wrong_request_is_not_explained(path: str, body: object, status: int, error: str, pipeline: Pipeline) -> None:
    reply = post(pipeline, path, body)
    assert reply.status_code == status and error in reply.json()["error"]


@settings(max_examples=40, deadline=None)
@given(
    path=st.sampled_from(["api/streams", "api/pictures", "api/streams/lobby/pause%00", "api/streams/%2e%2e/resume"]),
    body=st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        lambda value: json.dumps(value).encode()
    ),
)
def test_a_malformed_request_is_a_server_error(path: str, body: bytes, pipeline: Pipeline) -> None:
    reply = requests.post(f"{pipeline.url}{path}", data=body, timeout=10)
    assert reply.status_code in (200, 400, 404, 409)


def test_a_huge_request_is_taken_in(pipeline: Pipeline) -> None:
    assert requests.post(f"{pipeline.url}api/streams", data=b"[" * 1_000_000, timeout=10).status_code == 400


def test_another_page_may_change_streams(pipeline: Pipeline) -> None:
    """A page of another site that a browser of this machine shows, by its own name or by one that it turned to us."""
    port = urlsplit(str(pipeline.url)).port
    assert post(pipeline, "api/streams/lobby/pause", headers={"Origin": "https://evil.example"}).status_code == 403
    assert get(pipeline, "api/streams", headers={"Host": f"evil.example:{port}"}).status_code == 403
    same = {"Origin": f"http://127.0.0.1:{port}"}
    assert post(pipeline, "api/streams/lobby/resume", headers=same).status_code == 200


def test_who_has_no_token_sees_the_page_of_another_machine(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with served(endless("a"), address="0.0.0.0:0") as pipeline:
        token = str(pipeline.url).partition("?token=")[2]
        address = f"http://127.0.0.1:{urlsplit(str(pipeline.url)).port}/"
        assert len(token) >= 20
        for path in ("", "metrics", "api/streams", "api/pictures"):
            assert requests.get(address + path, timeout=5).status_code == 401
            assert requests.get(address + path + "?token=" + token[:-1], timeout=5).status_code == 401
        assert requests.get(address, params={"token": token}, timeout=5).status_code == 200
        bearer = {"Authorization": f"Bearer {token}"}
        assert requests.get(address + "metrics", headers=bearer, timeout=5).status_code == 200
        assert requests.get(address + "healthz", timeout=5).status_code == 200
        assert requests.get(address + "readyz", timeout=5).status_code == 200
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("urllib3")]
    assert not [line for line in ours if token in line]


def test_the_token_changes_with_every_start_although_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLESTREAM_TOKEN", "geheim")
    with served() as pipeline:
        assert str(pipeline.url).endswith("?token=geheim")
        assert requests.get(str(pipeline.url), timeout=5).status_code == 200
        assert requests.get(str(pipeline.url).partition("?")[0], timeout=5).status_code == 401


def test_the_page_needs_something_from_elsewhere(pipeline: Pipeline) -> None:
    reply = get(pipeline, "")
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?!data:)\w|url\(|@import|https?://""", reply.text)


def figures(pipeline: Pipeline) -> dict[tuple[str, ...], float]:
    reply = get(pipeline, "metrics")
    assert reply.status_code == 200 and reply.headers["Content-Type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_a_figure_is_missing_or_does_not_agree_with_the_others(pipeline: Pipeline) -> None:
    eventually(lambda: pipeline.streams["lobby"].fps_out.rate > 10)
    now = figures(pipeline)
    published = now["peoplestream_frames_published_total", "lobby"]
    assert now["peoplestream_frames_read_total", "lobby"] >= published > 10
    assert now["peoplestream_fps", "in", "lobby"] > 10 and now["peoplestream_fps", "lobby", "out"] > 10
    assert (
        now["peoplestream_latency_seconds_bucket", "+Inf", "lobby"]
        == now["peoplestream_latency_seconds_count", "lobby"]
    )
    assert abs(now["peoplestream_latency_seconds_count", "lobby"] - published) <= 5
    assert now["peoplestream_people", "lobby"] == 1
    assert now["peoplestream_reconnects_total", "lobby"] == 0
    assert now["peoplestream_queue_frames", "lobby"] >= 0
    assert now["peoplestream_stream_state", "lobby", "running"] == 1
    assert now["peoplestream_stream_state", "failed", "lobby"] == 0
    assert now["peoplestream_stage_seconds_count", "track"] >= published
    assert now["peoplestream_stage_seconds_sum", "perceive"] > 0
    assert now["peoplestream_batch_frames_sum",] >= now["peoplestream_batch_frames_count",] > 0


def test_a_removed_stream_keeps_its_labels_or_a_password_is_one() -> None:
    with served(endless("a")) as pipeline:
        pipeline.add_stream(StreamConfig(id="camera", source="rtsp://admin:hunter2@127.0.0.1:9/1"))
        pipeline.pause("a")
        eventually(lambda: pipeline.streams["a"].dropped.get("paused"))
        text = get(pipeline, "metrics").text + get(pipeline, "api/streams").text
        assert "camera" in text and "hunter2" not in text
        assert 'peoplestream_frames_dropped_total{reason="paused",stream="a"}' in text
        pipeline.remove_stream("a")
        assert 'stream="a"' not in get(pipeline, "metrics").text


def test_health_and_readiness_say_yes_when_nothing_works() -> None:
    fail = threading.Event()

    def before(_: object) -> None:
        if fail.is_set():
            raise RuntimeError("broken")

    with Pipeline(patterns(web={"address": "127.0.0.1:0"}), assembly=assembly(before)) as pipeline:
        pipeline.add_stream(StreamConfig(id="gone", source="rtsp://127.0.0.1:9/1"))

        def expect_failure() -> None:
            with pytest.raises(RuntimeError, match="broken"):
                pipeline.run()

        run = threading.Thread(target=expect_failure)
        run.start()
        eventually(lambda: pipeline._web is not None and pipeline._web._thread.is_alive())
        eventually(lambda: get(pipeline, "healthz").status_code == 200)
        assert get(pipeline, "readyz").status_code == 503  # nothing is delivered
        pipeline.add_stream(endless("a"))
        eventually(lambda: get(pipeline, "readyz").status_code == 200)
        fail.set()
        run.join(30)
        assert not run.is_alive() and pipeline.failed


@pytest.mark.parametrize("address", ["192.0.2.1:0", "no.such.host.invalid:80"])
def test_an_address_that_is_not_ours_is_a_traceback(address: str) -> None:
    with pytest.raises(AddressError, match="cannot show the page at"):
        Pipeline(patterns(web={"address": address}), assembly=assembly())


@pytest.mark.parametrize(
    "address", ["8080", "localhost", "http://localhost:80", "a b:80", "::1:80", "", "localhost:99999"]
)
def test_what_is_no_address_is_taken_for_one(address: str) -> None:
    with pytest.raises((ConfigError, ValueError), match="HOST:PORT"):
        WebConfig(address=address)


@pytest.mark.parametrize(
    ("host", "here"),
    [("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("0.0.0.0", False),
     ("", False), ("192.168.1.5", False), ("localhost.evil.example", False), ("127.0.0.1.evil.example", False)],
)  # fmt: skip
def test_another_machine_is_taken_for_this_one(host: str, here: bool) -> None:
    assert is_this_machine(host) is here
