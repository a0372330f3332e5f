"""The publishing end: who joins late, who is slow, who asks for a taken port."""

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

import pytest
import zmq

from stream.wire import EndpointError, Publisher, Replay, Security, StreamStatus, Subscriber, pack
from tests.stream.wire.samples import make_info, make_result

STATM = Path("/proc/self/statm")
HERE = "tcp://127.0.0.1:0"
ENDED = StreamStatus("lobby", 0, "ended", 1)


def test_a_late_joiner_gets_no_info() -> None:
    with Publisher(HERE) as publisher:
        publisher.announce(replace(make_info(), fps=5.0))
        publisher.announce(make_info())
        publisher.report(ENDED)
        with Subscriber(publisher.endpoint, until_end=True) as results:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            assert results.receive(timeout=5) is None
            assert {name: replace(info, run="") for name, info in results.infos.items()} == {"lobby": make_info()}
            assert results.statuses == {"lobby": ENDED}


def test_a_late_joiner_gets_the_first_frame_before_its_info() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint) as results:
        publisher.announce(make_info())
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        publisher.send(make_result())
        assert results.receive(timeout=5) is not None
        assert "lobby" in results.infos


def test_who_subscribes_to_one_stream_gets_the_info_of_all() -> None:
    with Publisher(HERE) as publisher:
        publisher.announce(make_info("gate"))
        publisher.announce(make_info("lobby"))
        with Subscriber(publisher.endpoint, "gate") as results:
            publisher.wait_for_subscribers(["gate"], 1, timeout=5)
            publisher.send(make_result("gate"))
            assert results.receive(timeout=5) is not None
            assert results.infos.keys() == {"gate"}


def test_subscribers_are_not_told_that_a_stream_counts_anew() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint) as results:
        publisher.announce(make_info())
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        runs = []
        for seq in (0, 1, 0, 1):
            publisher.send(make_result(seq=seq))
            assert results.receive(timeout=5) is not None
            runs.append(results.infos["lobby"].run)
        publisher.forget("lobby")
        publisher.announce(make_info())
        publisher.send(make_result(seq=5))
        assert results.receive(timeout=5) is not None
        runs.append(results.infos["lobby"].run)
        assert runs[0] == runs[1] and runs[2] == runs[3] and len({*runs}) == 3
        assert results.lost["lobby"] == 5  # of its third run


def test_a_port_that_is_taken_is_bound_or_explained_in_riddles() -> None:
    says = "another program holds this address; choose another port"
    with Publisher(HERE) as publisher, pytest.raises(EndpointError, match=says):
        Publisher(publisher.endpoint)


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        ("127.0.0.1:5555", "it is no endpoint; write it like tcp://127.0.0.1:5555"),
        ("http://127.0.0.1:5555", "it is no endpoint"),
        ("tcp://127.0.0.1:99999", "ports end at 65535"),
        ("tcp://203.0.113.7:5555", "this machine has no such address"),
        ("ipc:///no/such/folder/people.sock", "the folder of this path does not exist"),
    ],
)
def test_an_endpoint_that_cannot_be_is_explained_in_riddles(endpoint: str, says: str) -> None:
    with pytest.raises(EndpointError, match=says) as caught:
        Publisher(endpoint, security=Security(insecure=True))
    assert endpoint in str(caught.value)


def test_a_free_port_is_taken_and_not_told() -> None:
    with Publisher("tcp://127.0.0.1:*") as publisher:
        assert int(publisher.endpoint.rpartition(":")[2]) > 0


def test_waiting_for_subscribers_ends_before_they_come_or_never() -> None:
    with Publisher(HERE) as publisher:
        with pytest.raises(TimeoutError, match="for 1 subscribers of each stream: lobby has 0"):
            publisher.wait_for_subscribers(["lobby"], 1, timeout=0.05)
        with Subscriber(publisher.endpoint, ["lobby"]):
            publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
            with pytest.raises(TimeoutError, match="lobby has 1, gate has 0"):
                publisher.wait_for_subscribers(["lobby", "gate"], 1, timeout=0.05)
            with Subscriber(publisher.endpoint):
                publisher.wait_for_subscribers(["lobby"], 2, timeout=5)


def test_who_leaves_is_still_counted() -> None:
    with Publisher(HERE) as publisher:
        with Subscriber(publisher.endpoint), Subscriber(publisher.endpoint):
            publisher.wait_for_subscribers(["lobby"], 2, timeout=5)
        deadline = time.monotonic() + 5
        while publisher.subscribers("lobby") and time.monotonic() < deadline:
            publisher.serve(timeout=0.1)
        assert publisher.subscribers("lobby") == 0


def test_garbage_from_a_subscriber_breaks_the_count() -> None:
    with Publisher(HERE) as publisher, zmq.Context() as context, context.socket(zmq.XSUB) as hostile:
        hostile.connect(publisher.endpoint)
        for request in (b"\x01people/", b"\x07people/", b"", b"people/"):
            hostile.send(request)
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        for _ in range(5):
            publisher.serve(timeout=0.02)
        assert publisher.subscribers("lobby") == 1


def test_a_subscriber_in_another_process_misses_frames_of_a_file() -> None:
    with Publisher(HERE, high_water_mark=5) as publisher, follower(publisher, "time.sleep(0.002)") as process:
        publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
        result = make_result()
        for seq in range(300):
            assert publisher.send(replace(result, seq=seq), patience=20)
        publisher.report(replace(ENDED, next_seq=300))
        assert process.communicate(timeout=20)[0].split() == ["300", "0"]
        assert publisher.overruns == 0


def test_a_stopped_subscriber_blocks_the_publisher_and_the_others() -> None:
    with Publisher(HERE, high_water_mark=10, linger=0.1) as publisher, follower(publisher, "pass") as process:
        publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
        os.kill(process.pid, signal.SIGSTOP)
        with Subscriber(publisher.endpoint, high_water_mark=100_000) as results:
            publisher.wait_for_subscribers(["lobby"], 2, timeout=5)
            result = make_result(people=100)
            started = time.monotonic()
            taken = [publisher.send(replace(result, seq=seq), patience=0.2) for seq in range(500)]
            assert taken.count(False) == publisher.overruns == 1  # waited for it once, then left it behind
            assert time.monotonic() - started < 10
            received = 0
            while received < 500 and results.receive(timeout=5):
                received += 1
            assert received == 500 and results.lost["lobby"] == 0
        os.kill(process.pid, signal.SIGCONT)
        deadline = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline:
            publisher.send(replace(result, seq=500))  # it has caught up and is told what it missed
            publisher.report(replace(ENDED, next_seq=501))
            time.sleep(0.05)
        frames, lost = map(int, process.communicate(timeout=20)[0].split())
        assert lost > 0 and frames + lost >= 501


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc to tell how much memory it takes")
def test_a_stopped_subscriber_makes_the_publisher_grow() -> None:
    options = {"high_water_mark": 10, "linger": 0.1, "replay": Replay(bytes=4 << 20)}
    with Publisher(HERE, **options) as publisher, follower(publisher, "pass") as process:  # type: ignore[arg-type]
        publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
        os.kill(process.pid, signal.SIGSTOP)
        result = make_result(people=200, size=(1080, 1920))
        sizes = []
        for seq in range(200):
            publisher.send(replace(result, seq=seq))
            sizes.append(int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        sent = 200 * len(pack(result))
        assert sent > 500 << 20
        assert max(sizes) - sizes[20] < 48 << 20


def test_closing_waits_for_ever_for_a_stopped_subscriber() -> None:
    with follower_of_nobody() as (publisher, process):
        publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
        os.kill(process.pid, signal.SIGSTOP)
        for seq in range(300):
            publisher.send(make_result(seq=seq, people=100))
        started = time.monotonic()
        publisher.close()
        publisher.close()
        assert time.monotonic() - started < 5


FOLLOWER = """
import sys, time
from stream.wire import Subscriber
with Subscriber(sys.argv[1], until_end=True, high_water_mark=5) as results:
    frames = 0
    for result in results:
        frames += 1
        {each}
    print(frames, results.lost["lobby"])
"""


@contextmanager
def follower(publisher: Publisher, each: str) -> Iterator[subprocess.Popen[str]]:
    """A subscriber in another process, which prints how many frames it got and how many it lost."""
    command = [sys.executable, "-c", FOLLOWER.format(each=each), publisher.endpoint]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def follower_of_nobody() -> Iterator[tuple[Publisher, subprocess.Popen[str]]]:
    publisher = Publisher(HERE, linger=0.2)
    with follower(publisher, "pass") as process:
        yield publisher, process
