"""The receiving end: what is missing is counted, what is no message is skipped, and waiting ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgpack
import pytest
import zmq

from stream.types import FrameResult
from stream.wire import EndpointError, Publisher, StreamStatus, Subscriber, VersionError, pack, topic
from stream.wire.schema import MAX_BYTES, Message
from tests.stream.wire.samples import make_info, make_result

HERE = "tcp://127.0.0.1:0"
Send = Callable[..., None]


@contextmanager
def anything_goes(stream: str = "lobby") -> Iterator[tuple[str, Send]]:
    """An endpoint, and a function that sends messages or any parts to its subscribers once there is one."""
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        socket.set(zmq.LINGER, 2000)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        joined: list[bytes] = []

        def send(*messages: Message | list[bytes]) -> None:
            while not any(request.startswith(b"\x01people/") for request in joined):
                assert socket.poll(5000)
                joined.append(socket.recv())
            for message in messages:
                socket.send_multipart(message if isinstance(message, list) else [topic(message), pack(message)])

        yield f"tcp://127.0.0.1:{port}", send


def ended(next_seq: int, stream: str = "lobby") -> StreamStatus:
    return StreamStatus(stream, 0, "ended", next_seq)


def frames(*seqs: int, stream: str = "lobby") -> list[FrameResult]:
    return [make_result(stream, seq, people=1) for seq in seqs]


def follow(endpoint: str, **options: object) -> tuple[list[int], int]:
    with Subscriber(endpoint, timeout=5, until_end=True, **options) as results:  # type: ignore[arg-type]
        return [result.seq for result in results], results.lost["lobby"]


@pytest.mark.parametrize(
    ("seqs", "next_seq", "lost"),
    [
        ([0, 1, 2], 3, 0),
        ([0, 1, 4, 5, 9], 10, 5),  # gaps
        ([0, 1, 2], 8, 5),  # the end is missing
        ([70, 71], 72, 0),  # joined late: what came before is not ours
        ([70, 71, 0, 1, 3], 4, 1),  # the publisher started again
    ],
)
def test_a_gap_is_not_counted(seqs: list[int], next_seq: int, lost: int) -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint, until_end=True, timeout=5) as results:
        send(*frames(*seqs), ended(next_seq), ended(next_seq))
        assert [result.seq for result in results] == seqs
        assert results.lost["lobby"] == lost


def test_frames_are_asked_for_before_what_explains_them() -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}", "lobby"):
            assert [socket.recv() for _ in range(3)] == [b"\x01info/lobby", b"\x01status/lobby", b"\x01people/lobby"]


def test_the_loss_at_the_end_is_counted_again_for_every_late_joiner() -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint) as results:
        send(*frames(0), ended(3), ended(3), *frames(3))
        while (result := results.receive(timeout=5)) and result.seq < 3:
            pass
        assert results.lost["lobby"] == 2


def test_the_frames_of_another_stream_come_because_its_id_begins_alike() -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint, ["cam1"], until_end=True, timeout=5) as results:
        send(make_info("cam10"), *frames(0, 1, stream="cam10"), *frames(0, stream="cam1"), ended(2, "cam10"))
        send(ended(1, "cam1"))
        assert [result.stream for result in results] == ["cam1"]
        assert not results.infos and results.statuses.keys() == {"cam1"} == results.lost.keys()


def test_one_stream_given_as_text_is_taken_for_its_letters() -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint, "lobby", timeout=5) as results:
        send(*frames(7))
        assert next(iter(results)).seq == 7


def test_iterating_ends_with_the_first_of_two_streams_or_not_at_all() -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint, until_end=True, timeout=5) as results:
        send(make_info("gate"), make_info("lobby"), *frames(0), ended(1), *frames(0, stream="gate"))
        send(StreamStatus("gate", 0, "failed", 1, "the cable is out"))
        assert [result.stream for result in results] == ["lobby", "gate"]
        assert results.ended


@pytest.mark.parametrize(
    "garbage",
    [
        [b"people/lobby"],
        [b"people/lobby", b"", b""],
        [b"people/lobby", b"\xc1"],
        [b"people/lobby", pack(make_result())[:-7]],
        [b"people/gate", pack(make_result())],
        [b"status/lobby", pack(make_info())],
        [b"people/", b"\x80"],
    ],
)
def test_a_malformed_message_crashes_the_subscriber(garbage: list[bytes], caplog: pytest.LogCaptureFixture) -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint, until_end=True, timeout=5) as results:
        send(*frames(0), garbage, garbage, *frames(1), ended(2))
        assert [result.seq for result in results] == [0, 1]
        assert results.malformed == 2
    assert len(caplog.records) == 1  # said once, counted always


def test_another_major_version_is_waited_on_in_silence() -> None:
    body = msgpack.packb({**msgpack.unpackb(pack(make_result())), "v": [2, 0]})
    with anything_goes() as (endpoint, send), Subscriber(endpoint) as results:
        send([b"people/lobby", body])
        with pytest.raises(VersionError, match="this program reads 1.x"):
            results.receive(timeout=5)


def test_an_enormous_message_is_taken_in() -> None:
    with anything_goes() as (endpoint, send), Subscriber(endpoint) as results:
        send([b"people/lobby", b"\xc6" + bytes(MAX_BYTES)])
        assert results.receive(timeout=0.3) is None
        assert results.malformed == 0  # ZeroMQ has cut the connection before a byte of it reached us


def test_silence_is_waited_on_for_ever() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint, ["lobby", "gate"], timeout=0.1) as results:
        with pytest.raises(TimeoutError, match=r"no frame from tcp://.* for 0.1 s: .* has it gate, lobby\?"):
            next(iter(results))
        started = time.monotonic()
        assert results.receive(timeout=0.1) is None
        assert 0.05 < time.monotonic() - started < 2


def test_a_publisher_that_starts_again_is_not_found() -> None:
    with Publisher(HERE) as publisher:
        endpoint = publisher.endpoint
    with Subscriber(endpoint) as results:
        for _ in range(2):
            with Publisher(endpoint) as publisher:
                deadline = time.monotonic() + 10
                while results.receive(timeout=0.05) is None and time.monotonic() < deadline:
                    publisher.send(make_result())
                assert time.monotonic() < deadline


def test_an_endpoint_without_a_transport_is_explained_in_riddles() -> None:
    with pytest.raises(EndpointError, match="cannot subscribe to localhost:5555: it is no endpoint"):
        Subscriber("localhost:5555")


def test_closing_twice_raises() -> None:
    results = Subscriber("tcp://127.0.0.1:5555")
    results.close()
    results.close()
