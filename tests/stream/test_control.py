"""Commands: what they do, who may give them, and that nothing that is sent can disturb the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.config import StreamConfig
from stream.control import LARGEST, ControlClient, ControlServer, answer
from stream.errors import StreamError
from stream.pipeline import Pipeline
from stream.wire import EndpointError, KeyFolder, Security, SecurityError
from stream.wire.security import Credentials
from tests.stream.graphs import assembly, patterns


class Target:
    """Remembers what it was told; knows the stream `lobby`."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def reports(self) -> list[dict[str, Any]]:
        return [{"id": "lobby", "state": "running"}]

    def add_stream(self, stream: StreamConfig, /) -> None:
        self.told.append(("add", stream))

    def remove_stream(self, stream: str, timeout: float, /) -> None:
        self._tell("remove", stream)

    def change_stream(self, stream: str, /, **options: object) -> None:
        self._tell("change", stream)
        self.told.append(("options", options))

    def pause(self, stream: str, /) -> None:
        self._tell("pause", stream)

    def resume(self, stream: str, /) -> None:
        self._tell("resume", stream)

    def _tell(self, command: str, stream: str) -> None:
        if stream != "lobby":
            raise StreamError(f"{stream}: there is no such stream")
        self.told.append((command, stream))


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def server(target: Target) -> Iterator[ControlServer]:
    before = threading.active_count()
    with ControlServer("tcp://127.0.0.1:*", target) as server:
        server.start()
        yield server
    assert threading.active_count() == before


def test_a_command_does_not_do_what_it_says(server: ControlServer, target: Target) -> None:
    with ControlClient(server.endpoint) as client:
        assert client.ask("list")["streams"] == [{"id": "lobby", "state": "running"}]
        options = {"id": "yard", "source": "testpattern://96x64@25", "fps": 5}
        assert client.ask("add", stream=options)["id"] == "yard"
        for command in ("pause", "resume", "remove"):
            assert client.ask(command, id="lobby")["id"] == "lobby"
    assert target.told[0] == ("add", StreamConfig(id="yard", source="testpattern://96x64@25", fps=5))
    assert target.told[1:] == [("pause", "lobby"), ("resume", "lobby"), ("remove", "lobby")]


def test_a_stream_without_an_id_gets_one_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "lobby.mp4").write_bytes(b"x")
    assert ask(Target(), command="add", stream={"source": str(tmp_path / "lobby.mp4")})["id"] == "lobby-2"


def ask(target: Target, **request: object) -> dict[str, Any]:
    return answer(target, [msgpack.packb(request)])


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"command": "dance"}, "none of list, add, remove, change, pause, resume"),
        ({"command": "change", "id": "lobby"}, "does not say what to change"),
        ({"command": "change", "id": "lobby", "options": {b"fps": 5}}, "does not say what to change"),
        ({"command": "change", "options": {"fps": 5}}, "does not say which stream"),
        ({"command": "change", "id": "yard", "options": {"fps": 5}}, "yard: there is no such stream"),
        ({"command": "add", "stream": {"source": "testpattern://0x0@25"}}, "testpattern://0x0@25"),
        ({}, "none of list, add"),
        ({"command": ["list"]}, "none of list, add"),
        ({"command": "remove"}, "does not say which stream"),
        ({"command": "pause", "id": "yard"}, "yard: there is no such stream"),
        ({"command": "add"}, "must be a section of options"),
        ({"command": "add", "stream": {"id": "a"}}, "source: is missing"),
        ({"command": "add", "stream": {"source": "nowhere.mp4"}}, "no such file or folder: nowhere.mp4"),
        ({"command": "add", "stream": {"source": "testpattern://", "id": "lobby"}}, "lobby is taken"),
        ({"command": "add", "stream": {"source": "testpattern://", "pace": "realtim"}}, "did you mean realtime"),
        ({"command": "add", "stream": {"source": "testpattern://", "maks": True}}, "did you mean masks"),
        ({"command": "list", "v": [2, 0]}, "understands version 1"),
        ({"command": "list", "v": "1"}, "understands version 1"),
    ],
)
def test_a_wrong_request_is_not_explained(request_: dict[str, Any], error: str, target: Target) -> None:
    reply = ask(target, **request_)
    assert reply["ok"] is False and error in reply["error"] and "\n" not in reply["error"]
    assert not target.told


def test_an_error_shows_the_password_of_a_camera(target: Target) -> None:
    reply = ask(target, command="add", stream={"source": "rtsp://admin:hunter2@camera/1", "fps": "rtsp://a:hunter2@b"})
    assert reply["ok"] is False and "hunter2" not in reply["error"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-5, 5), inner),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {"command": st.sampled_from(["list", "add", "remove", "change", "pause", "resume"]) | VALUES},
    optional={
        "id": VALUES | st.just("lobby"),
        "options": VALUES,
        "v": VALUES,
        "stream": VALUES | st.dictionaries(st.sampled_from(["id", "source", "pace", "loop", "fps", "masks"]), VALUES),
    },
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=200), max_size=4)
    | REQUESTS.map(lambda request: [msgpack.packb(request)])
    | VALUES.map(lambda value: [msgpack.packb(value)])
)
def test_a_malformed_request_is_not_survived(parts: list[bytes]) -> None:
    reply = msgpack.unpackb(msgpack.packb(answer(Target(), parts)))
    assert reply["ok"] in (True, False) and (reply["ok"] or reply["error"])


def test_whatever_is_sent_to_the_socket_stops_the_server(server: ControlServer) -> None:
    deep = b"\x91" * 10_000
    for parts in ([b""], [b"\xc1"], [b"\x80", b"\x80"], [deep], [b"x" * (LARGEST - 100)], [b"\xdf\xff\xff\xff\xff"]):
        with zmq.Context() as context, context.socket(zmq.REQ) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect(server.endpoint)
            socket.send_multipart(parts)
            assert socket.poll(5000)
            assert msgpack.unpackb(socket.recv())["ok"] is False
    with zmq.Context() as context, context.socket(zmq.REQ) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(server.endpoint)
        socket.send(b"x" * (LARGEST + 1))
        assert not socket.poll(200)  # disconnected, unanswered
    with ControlClient(server.endpoint) as client:
        assert client.ask("list")["ok"]


def test_a_message_without_an_envelope_hangs_the_server(server: ControlServer) -> None:
    """ZeroMQ announces such a message and then drops it: a receive that waits for it never returns."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.set(zmq.LINGER, 0)
        socket.connect(server.endpoint)
        for _ in range(50):
            socket.send(bytes(500))
        time.sleep(0.3)
    with ControlClient(server.endpoint) as client:
        assert client.ask("list")["ok"]


def test_a_sender_who_does_not_wait_for_the_answer_holds_up_the_others(server: ControlServer) -> None:
    for _ in range(20):
        with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
            socket.set(zmq.LINGER, 0)
            socket.connect(server.endpoint)
            socket.send_multipart([b"", msgpack.packb({"command": "list"})])
    with ControlClient(server.endpoint, timeout=5) as client:
        assert client.ask("list")["ok"]


def test_an_address_that_others_reach_is_opened_without_keys(target: Target) -> None:
    before = threading.active_count()
    with pytest.raises(SecurityError, match="will not take commands at"):
        ControlServer("tcp://0.0.0.0:*", target)
    with pytest.raises(SecurityError, match="give their folder in security.keys; --insecure does not open it$"):
        ControlServer("tcp://0.0.0.0:*", target, Security(insecure=True))
    with pytest.raises(EndpointError, match="cannot take commands at"):
        ControlServer("udp://x", target)
    assert threading.active_count() == before


def test_who_has_no_key_gives_commands(target: Target, tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    for name in ("server", "operator", "stranger"):
        folder.create(name)
    folder.allow("operator", tmp_path / "operator.key")
    with ControlServer("tcp://127.0.0.1:*", target, Security(folder)) as server:
        server.start()
        stranger = Credentials.of(tmp_path / "server.key", tmp_path / "stranger.key_secret")
        for credentials in (None, stranger):
            with ControlClient(server.endpoint, 0.5, credentials) as client, pytest.raises(TimeoutError, match="keys"):
                client.ask("pause", id="lobby")
        operator = Credentials.of(tmp_path / "server.key", tmp_path / "operator.key_secret")
        with ControlClient(server.endpoint, 5, operator) as client:
            client.ask("resume", id="lobby")
    assert target.told == [("resume", "lobby")]


def test_no_run_at_the_address_is_waited_for_for_ever() -> None:
    start = time.monotonic()
    with ControlClient("tcp://127.0.0.1:9", timeout=0.3) as client, pytest.raises(TimeoutError, match="no answer from"):
        client.ask("list")
    assert time.monotonic() - start < 5


def test_a_run_does_not_obey_or_leaves_its_socket_open() -> None:
    config = patterns("a", frames=5, control={"endpoint": "tcp://127.0.0.1:*"})
    before = threading.active_count()
    with Pipeline(config, assembly=assembly()) as pipeline:
        run = threading.Thread(target=pipeline.run)
        run.start()
        endpoint = str(pipeline.control_endpoint)
        with ControlClient(endpoint) as client:
            assert [report["id"] for report in client.ask("list")["streams"]] == ["a"]
            added = client.ask("add", stream={"source": "testpattern://96x64@25?frames=3"})["id"]
            assert set(pipeline.streams) == {"a", added}
            assert client.ask("remove", id="a")["id"] == "a"
            assert set(pipeline.streams) == {added}
        pipeline.stop()
        run.join(20)
        assert not run.is_alive()
        with zmq.Context() as context, context.socket(zmq.REP) as socket:
            socket.bind(endpoint)
    assert threading.active_count() == before


def test_wrong_options_look_like_a_run_that_cannot_and_silence_like_a_bug() -> None:
    from stream.cli.app import _sentence
    from stream.cli.errors import ExitCode, exit_code
    from stream.errors import NoAnswerError, StreamOptionsError
    from stream.pipeline import Pipeline
    from tests.stream.graphs import assembly, patterns

    config = patterns("a", frames=500, control={"endpoint": "tcp://127.0.0.1:*"})
    with Pipeline(config, assembly=assembly()) as pipeline:
        runner = threading.Thread(target=pipeline.run)
        runner.start()
        try:
            with ControlClient(str(pipeline.control_endpoint), 10) as client:
                with pytest.raises(StreamOptionsError, match="did you mean masks") as wrong:
                    client.ask("change", id="a", options={"maks": False})
                with pytest.raises(StreamError, match="nobody") as unknown:
                    client.ask("remove", id="nobody")
        finally:
            pipeline.stop()
            runner.join(20)
    assert exit_code(wrong.value) == ExitCode.USAGE and exit_code(unknown.value) == ExitCode.FAILED
    with ControlClient("tcp://127.0.0.1:9", timeout=0.2) as client, pytest.raises(NoAnswerError) as silence:
        client.ask("list")
    assert _sentence(silence.value).startswith("no answer from tcp://127.0.0.1:9")
