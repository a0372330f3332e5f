"""What was missed is fetched again, in order, as long as it is kept; what is not is counted to the last frame."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from stream.types import FrameResult, Mask
from stream.wire import (
    EndpointError,
    KeyFolder,
    Publisher,
    Replay,
    SchemaError,
    Security,
    StreamStatus,
    Subscriber,
    pack,
)
from stream.wire._answers import NO_END, Answer, Request, pack_request, read_answer, read_request
from stream.wire.replay import Ring
from stream.wire.security import Credentials, connect
from tests.stream.wire.samples import make_info, make_result

HERE = "tcp://127.0.0.1:0"
FRAME = make_result(people=1)


def with_mask_of_noise(side: int) -> FrameResult:
    """A frame with one person whose mask has about half as many bytes as pixels."""
    noise = np.random.default_rng(0).random((side, side)) < 0.5
    return replace(FRAME, people=replace(FRAME.people, masks=(Mask.encode(noise, (0, 0)),)))


LARGE = with_mask_of_noise(200)  # 20 kB: more than the buffers of the system take in of them
MEDIUM = with_mask_of_noise(75)  # 3 kB
STATM = Path("/proc/self/statm")


def memory() -> int:
    """Bytes that this process has in memory."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def ask(ring: Ring, request: Request) -> Answer:
    return read_answer(request, ring.answer(pack_request(request)))


def fill(ring: Ring, *seqs: int, stream: str = "lobby") -> None:
    for seq in seqs:
        ring.put(stream, seq, pack(make_result(stream, seq, people=1)))


def seqs(answer: Answer) -> list[int]:
    return [frame.seq for frame in answer.frames]


def test_a_ring_grows_beyond_its_bytes_or_keeps_the_oldest() -> None:
    ring = Ring(Replay(bytes=200_000))
    for seq in range(1000):
        fill(ring, seq, stream=f"cam{seq % 3}")
    kept = {name: seqs(ask(ring, Request(name, "", 0, NO_END))) for name in ("cam0", "cam1", "cam2")}
    total = sum(len(pack(make_result(name, seq, people=1))) + 200 for name, seqs in kept.items() for seq in seqs)
    assert 190_000 < total <= 200_000
    assert sorted(seq for seqs in kept.values() for seq in seqs) == list(
        range(1000 - sum(map(len, kept.values())), 1000)
    )


def test_a_ring_keeps_frames_for_longer_than_its_seconds() -> None:
    ring = Ring(Replay(seconds=0.05))
    fill(ring, 0, 1)
    time.sleep(0.06)
    fill(ring, 2)
    answer = ask(ring, Request("lobby", "", 0, NO_END))
    assert seqs(answer) == [2] and answer.to == 3


def test_an_answer_leaves_frames_out_brings_others_or_becomes_enormous() -> None:
    ring = Ring(Replay())
    fill(ring, 0, 1, 2, 5, 6, 9)
    fill(ring, 3, stream="gate")
    assert seqs(ask(ring, Request("lobby", "", 1, 6))) == [1, 2, 5]
    assert ask(ring, Request("lobby", "", 1, 6)).to == 6
    assert seqs(ask(ring, Request("lobby", "", 3, 5))) == []
    assert ask(ring, Request("lobby", "", 7, NO_END)).to == 10
    assert ask(ring, Request("lobby", "", 50, NO_END)).to == 50
    big = Ring(Replay())
    body = pack(make_result(people=20, size=(1080, 1920)))
    for seq in range(30):
        big.put("lobby", seq, body)
    parts = big.answer(pack_request(Request("lobby", "", 0, NO_END)))
    assert 1 < len(parts) < 30 and sum(map(len, parts)) < 2 << 20


def test_another_run_is_answered_with_the_frames_of_this_one() -> None:
    ring = Ring(Replay())
    fill(ring, *range(10))
    run = ring.run("lobby")
    assert seqs(ask(ring, Request("lobby", run, 3, 5))) == [3, 4]
    assert not ring.put("lobby", 0, pack(FRAME))
    answer = ask(ring, Request("lobby", run, 3, 5))
    assert answer.frames == () and answer.run == ring.run("lobby") != run
    assert seqs(ask(ring, Request("lobby", "", 0, 5))) == [0]
    ring.forget("lobby")
    assert ask(ring, Request("lobby", "", 0, 5)).run == ""


@given(st.binary(max_size=200))
def test_a_request_of_anything_crashes_the_publisher(body: bytes) -> None:
    ring = Ring(Replay())
    fill(ring, 0)
    parts = ring.answer(body)
    assert len(parts) == 1
    with pytest.raises(SchemaError):
        read_answer(Request("lobby", "", 0, 1), parts)


@given(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 20))
def test_a_damaged_request_crashes_the_publisher(start: int, damage: bytes, skip: int) -> None:
    ring = Ring(Replay())
    fill(ring, 0)
    body = pack_request(Request("lobby", "", 0, NO_END))
    assert ring.answer(body[:start] + damage + body[start + skip :])


@given(st.integers(0, 1500), st.binary(max_size=6), st.integers(0, 40), st.integers(0, 2))
def test_a_damaged_answer_is_believed_or_crashes_the_subscriber(
    start: int, damage: bytes, skip: int, part: int
) -> None:
    ring = Ring(Replay())
    fill(ring, 3, 4)
    request = Request("lobby", ring.run("lobby"), 2, 6)
    parts = ring.answer(pack_request(request))
    parts[part] = parts[part][:start] + damage + parts[part][start + skip :]
    try:
        answer = read_answer(request, parts)
    except SchemaError:
        return
    assert all(2 <= seq < answer.to <= 6 for seq in seqs(answer))


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (Request("lobby", "", 0, 2), [3, 4]),  # too new
        (Request("lobby", "", 5, 9), [3, 4]),  # too old
        (Request("gate", "", 3, 5), [3, 4]),  # of another stream
    ],
)
def test_frames_that_were_not_asked_for_are_taken(asked: Request, sent: list[int]) -> None:
    ring = Ring(Replay())
    fill(ring, *sent)
    with pytest.raises(SchemaError):
        read_answer(asked, ring.answer(pack_request(Request("lobby", "", 0, NO_END))))


def test_a_request_loses_a_field() -> None:
    request = Request("lobby", "abc", 3, 9)
    assert read_request(pack_request(request)) == request
    for wrong in (replace(request, to=2), replace(request, first=-1), replace(request, stream="../x")):
        with pytest.raises(SchemaError):
            read_request(pack_request(wrong))


@contextmanager
def publishing(**options: object) -> Iterator[Publisher]:
    with Publisher(HERE, **({"replay": Replay(), "linger": 0.2} | options)) as publisher:  # type: ignore[arg-type]
        publisher.announce(make_info())
        yield publisher


def send(publisher: Publisher, seqs: range, frame: FrameResult = FRAME) -> None:
    for seq in seqs:
        publisher.send(replace(frame, seq=seq))


def test_frames_that_a_full_queue_dropped_are_lost_though_they_are_kept() -> None:
    options = {"recover": True, "until_end": True, "timeout": 10, "high_water_mark": 10}
    with publishing(high_water_mark=10) as publisher, Subscriber(publisher.endpoint, **options) as results:  # type: ignore[arg-type]
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        received = []
        for start in range(0, 1800, 600):  # more than two queues and the sockets' buffers hold
            send(publisher, range(start, start + 600), LARGE)
            received += [results.receive(5).seq for _ in range(100)]  # type: ignore[union-attr]
        publisher.report(StreamStatus("lobby", 0, "ended", 1800))  # this is dropped, too
        assert publisher.overruns
        received += [result.seq for result in results]
        assert received == list(range(1800))
        assert not results.lost.total() and results.recovered["lobby"] > 300 and not results.malformed


def test_frames_that_are_not_kept_any_more_are_miscounted() -> None:
    options = {"recover": True, "until_end": True, "timeout": 10, "high_water_mark": 10}
    keep = Replay(bytes=200 * (len(pack(LARGE)) + 210))
    with (
        publishing(high_water_mark=10, replay=keep) as publisher,
        Subscriber(publisher.endpoint, **options) as results,  # type: ignore[arg-type]
    ):
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        send(publisher, range(1800), LARGE)
        publisher.report(StreamStatus("lobby", 0, "ended", 1800))
        received = [result.seq for result in results]
        assert received == sorted(set(received)) and received[-190:] == list(range(1610, 1800))
        assert len(received) + results.lost["lobby"] == 1800 and results.lost["lobby"] > 300


FOLLOWER = """
import sys
from stream.wire import Subscriber
with Subscriber(sys.argv[1], recover=True, until_end=True, timeout=30, high_water_mark=20) as results:
    seqs = [result.seq for result in results]
    print(seqs == sorted(set(seqs)), len(seqs), results.lost["lobby"], results.recovered["lobby"], results.malformed)
"""


def test_a_subscriber_that_is_stopped_and_resumed_loses_one_of_ten_thousand_frames() -> None:
    with publishing(high_water_mark=20) as publisher:
        process = subprocess.Popen(
            [sys.executable, "-c", FOLLOWER, publisher.endpoint], stdout=subprocess.PIPE, text=True
        )
        try:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
            for start in range(0, 10_000, 500):
                os.kill(process.pid, signal.SIGSTOP if start % 2000 else signal.SIGCONT)
                send(publisher, range(start, start + 500), MEDIUM)
                time.sleep(0.05)
            publisher.report(StreamStatus("lobby", 0, "ended", 10_000))
            os.kill(process.pid, signal.SIGCONT)
            in_order, received, lost, recovered, malformed = process.communicate(timeout=60)[0].split()
        finally:
            process.kill()
            process.communicate()
    assert (in_order, received, lost, malformed) == ("True", "10000", "0", "0")
    assert int(recovered) > 500


def test_a_publisher_that_started_again_is_taken_for_the_one_before() -> None:
    with publishing() as publisher, Subscriber(publisher.endpoint, recover=True) as results:
        endpoint = publisher.endpoint
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        send(publisher, range(50))
        assert [results.receive(5).seq for _ in range(50)] == list(range(50))  # type: ignore[union-attr]
        publisher.close()
        with Publisher(endpoint, replay=Replay(), linger=0) as again:
            again.announce(make_info())
            send(again, range(50))  # nobody hears these, and frame 50 comes next for who counts on
            deadline = time.monotonic() + 10
            while not again.subscribers("lobby") and time.monotonic() < deadline:
                assert results.receive(0.05) is None  # lets it connect again
                again.serve()
            send(again, range(50, 53))
            assert [results.receive(5).seq for _ in range(53)] == list(range(53))  # type: ignore[union-attr]
            assert not results.lost.total() and results.recovered["lobby"] == 50


def test_a_publisher_that_cannot_replay_stops_the_frames() -> None:
    with publishing(replay=None) as publisher, Subscriber(publisher.endpoint, recover=True) as results:
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        for seq in (0, 5, 9):
            publisher.send(replace(FRAME, seq=seq))
        assert [results.receive(5).seq for _ in range(3)] == [0, 5, 9]  # type: ignore[union-attr]
        assert results.lost["lobby"] == 7 and not results.recovered.total()


@pytest.mark.parametrize("answer", [None, [b"\xc1"], [b""] * 9, [b"\x80", b"x" * 100_000]])
def test_a_replay_socket_that_is_mute_or_mad_stops_the_frames(
    answer: list[bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.wire._replay_client._ANSWER_SECONDS", 0.05)
    with zmq.Context() as context, context.socket(zmq.REP) as server, publishing() as publisher:
        server.set(zmq.LINGER, 0)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(publisher.endpoint, recover=f"tcp://127.0.0.1:{port}") as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            for seq in (0, 5):
                publisher.send(replace(FRAME, seq=seq))
            assert results.receive(5).seq == 0  # type: ignore[union-attr]
            started = time.monotonic()
            received = results.receive(0.04)
            while received is None and time.monotonic() < started + 5:
                if answer is not None and server.poll(0):
                    server.recv()
                    server.send_multipart(answer)
                received = results.receive(0.04)
            assert received is not None and received.seq == 5
            assert results.lost["lobby"] == 4 and results.malformed == (answer is not None)


def test_waiting_for_a_replay_outlasts_the_timeout() -> None:
    with zmq.Context() as context, context.socket(zmq.REP) as mute, publishing() as publisher:
        port = mute.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(publisher.endpoint, recover=f"tcp://127.0.0.1:{port}") as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            for seq in (0, 5):
                publisher.send(replace(FRAME, seq=seq))
            assert results.receive(5).seq == 0  # type: ignore[union-attr]
            started = time.monotonic()
            assert results.receive(0.1) is None
            assert time.monotonic() - started < 0.6


def test_a_hostile_client_of_the_replay_socket_stops_the_others() -> None:
    with publishing() as publisher, zmq.Context() as context, context.socket(zmq.DEALER) as hostile:
        hostile.set(zmq.LINGER, 0)
        hostile.connect(publisher._replay.replace("*", "127.0.0.1"))
        with Subscriber(publisher.endpoint, recover=True, timeout=5) as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            send(publisher, range(100))
            everything = pack_request(Request("lobby", "", 0, NO_END))
            for _ in range(200):  # and it reads none of the answers
                hostile.send_multipart([b"", everything])
                hostile.send_multipart([b"", b"\xdd\xff\xff\xff\xff"])
                hostile.send_multipart([b"", b"a", b"b"])
                hostile.send(bytes(500))
            publisher.send(replace(FRAME, seq=100))
            publisher._ring.put("lobby", 101, pack(replace(FRAME, seq=101)))  # kept, and never sent
            publisher.send(replace(FRAME, seq=102))
            assert [results.receive(5).seq for _ in range(103)] == list(range(103))  # type: ignore[union-attr]
            assert results.recovered["lobby"] == 1


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc to tell how much memory it takes")
def test_a_client_that_reads_no_answer_makes_the_publisher_grow() -> None:
    large = make_result(people=200, size=(1080, 1920))
    keep = Replay(bytes=8 << 20)
    with publishing(replay=keep) as publisher, zmq.Context() as context, context.socket(zmq.DEALER) as hostile:
        hostile.set(zmq.LINGER, 0)
        hostile.set(zmq.RCVHWM, 1)
        hostile.connect(publisher._replay.replace("*", "127.0.0.1"))
        before, asked = memory(), 0
        for seq in range(60):
            body = pack(replace(large, seq=seq))
            publisher._ring.put("lobby", seq, body)
            hostile.send_multipart([b"", pack_request(Request("lobby", "", 0, NO_END))])
            asked += len(body)
            time.sleep(0.01)  # so that it is answered before the next one takes its place
        assert asked > 150 << 20
        assert memory() - before < 64 << 20


def test_the_replay_socket_lets_in_who_may_not_subscribe(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path)
    for name in ("server", "viewer", "stranger"):
        keys.create(name)
    keys.allow("viewer", tmp_path / "viewer.key")
    server = tmp_path / "server.key"
    with publishing(security=Security(keys)) as publisher:
        where = publisher._replay.replace("*", "127.0.0.1")
        viewer = {"server_key": server, "keys": tmp_path / "viewer.key_secret"}
        with Subscriber(publisher.endpoint, recover=True, **viewer) as results:  # type: ignore[arg-type]
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            publisher.send(FRAME)
            publisher._ring.put("lobby", 1, pack(replace(FRAME, seq=1)))
            publisher.send(replace(FRAME, seq=2))
            assert [results.receive(5).seq for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
        stranger = Credentials.of(server, tmp_path / "stranger.key_secret")
        with zmq.Context() as context:
            for credentials in (None, stranger):
                with context.socket(zmq.REQ) as socket:
                    socket.set(zmq.LINGER, 0)
                    connect("ask", socket, where, credentials)
                    socket.send(pack_request(Request("lobby", "", 0, 3)))
                    assert not socket.poll(300)


def test_the_port_of_the_replay_socket_is_another_than_asked_for() -> None:
    with Publisher(HERE) as taken:
        port = int(taken.endpoint.rpartition(":")[2])
    with publishing(replay=Replay(port=port)) as publisher:
        assert publisher._replay == f"tcp://*:{port}"
        with pytest.raises(EndpointError, match="cannot replay missed frames at .*another program holds this address"):
            Publisher(HERE, replay=Replay(port=port))


def test_a_publisher_with_a_path_cannot_replay(tmp_path: Path) -> None:
    with Publisher(f"ipc://{tmp_path}/people", replay=Replay()) as publisher:
        publisher.announce(make_info())
        with Subscriber(publisher.endpoint, recover=True) as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            publisher.send(FRAME)
            publisher._ring.put("lobby", 1, pack(replace(FRAME, seq=1)))
            publisher.send(replace(FRAME, seq=2))
            assert [results.receive(5).seq for _ in range(3)] == [0, 1, 2]  # type: ignore[union-attr]
