"""Whatever is dropped, whenever: frames come in order, none twice, and received and lost make up the whole."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.types import FrameResult
from stream.wire import Replay, SchemaError, StreamStatus, VersionError, pack, topic
from stream.wire._answers import pack_request, read_answer
from stream.wire._reception import Reception
from stream.wire.replay import Ring
from stream.wire.schema import Message
from tests.stream.wire.samples import make_info, make_result

FRAME = make_result(people=0)
SIZE = len(pack(FRAME)) + 210


class Wire:
    """A publisher and a subscriber without sockets; what the publisher sends arrives where `send` is told so."""

    def __init__(self, keep: int = 1000, recover: bool = True) -> None:
        self.ring = Ring(Replay(bytes=keep * SIZE))
        self.reception = Reception(None, recover, "here")
        self.seqs: list[int] = []
        self.held: list[list[bytes]] = []

    def send(self, message: Message, arrives: bool = True, held: bool = False) -> None:
        """Publish a message; `held`: it arrives before the next one that does, and after whatever is done meanwhile."""
        if isinstance(message, StreamStatus):
            self.ring.note(message)
        elif isinstance(message, FrameResult):
            self.ring.put(message.stream, message.seq, pack(message))
        if arrives:
            self.held.append([topic(message), pack(message)])
        while self.held and not held and arrives:
            self.reception.take(self.held.pop(0))
            self.settle()

    def check(self) -> None:
        self.reception.check()
        self.settle()

    def settle(self) -> None:
        while self.reception.gaps:
            request = self.reception.gaps[0].request
            self.reception.fill(read_answer(request, self.ring.answer(pack_request(request))))
        self.seqs += [frame.seq for frame in self.reception.ready]
        self.reception.ready.clear()

    @property
    def lost(self) -> int:
        return self.reception.lost["lobby"]


@given(
    st.lists(st.sampled_from(["arrives", "held", "dropped", "never published", "checked"]), max_size=60),
    st.booleans(),
    st.sampled_from([0, 3, 1000]),
    st.booleans(),
)
def test_a_frame_comes_twice_too_late_or_is_miscounted(events: list[str], ends: bool, keep: int, recover: bool) -> None:
    wire = Wire(keep, recover)
    wire.send(make_info())
    published = []
    for seq, event in enumerate(["arrives", *events]):
        if event != "never published":
            published.append(seq)
            wire.send(replace(FRAME, seq=seq), arrives=event != "dropped", held=event in ("held", "checked"))
        if event == "checked" and recover:
            wire.check()
    last = 1 + len(events)
    wire.send(StreamStatus("lobby", 0, "ended", last), arrives=ends or not recover)
    if recover:
        wire.check()
    assert wire.seqs == sorted(set(wire.seqs)) and set(wire.seqs) <= set(published)
    assert len(wire.seqs) + wire.lost == last
    assert wire.reception.ended
    if recover and keep == 1000:
        assert wire.seqs == published


def test_a_stream_that_was_removed_and_added_goes_on_where_it_was() -> None:
    wire = Wire()
    wire.send(replace(make_info(), run=wire.ring.run("lobby")))
    for seq in range(5):
        wire.send(replace(FRAME, seq=seq))
    wire.ring.forget("lobby")
    for seq in range(8):
        wire.send(replace(FRAME, seq=seq), arrives=seq > 5)  # its new info was dropped, and frames 0 to 5
    assert wire.seqs == [*range(5), *range(8)] and not wire.lost


def test_a_lower_epoch_goes_on_where_the_stream_was() -> None:
    wire = Wire(recover=False)
    for epoch, seq in ((3, 10), (3, 11), (0, 40)):
        wire.send(replace(FRAME, epoch=epoch, seq=seq))
    assert wire.lost == 40


def test_a_publisher_that_tells_of_another_run_with_every_answer_is_asked_for_ever() -> None:
    wire = Wire()
    wire.send(replace(make_info(), run="one"))
    wire.send(FRAME)
    wire.reception.take([b"people/lobby", pack(replace(FRAME, seq=9))])
    for _ in range(3):
        if wire.reception.gaps:
            wire.ring.forget("lobby")
            wire.ring.put("lobby", 9, pack(replace(FRAME, seq=9)))
            request = wire.reception.gaps[0].request
            wire.reception.fill(read_answer(request, wire.ring.answer(pack_request(request))))
    assert not wire.reception.gaps and [frame.seq for frame in wire.reception.ready] == [9]


SEEDS = [
    [topic(message), pack(message)]
    for message in (make_result(people=3), make_info(), StreamStatus("lobby", 0, "ended", 9))
]


@pytest.mark.parametrize("seed", range(4))
def test_ten_thousand_damaged_messages_crash_the_subscriber(seed: int) -> None:
    """A fuzz run: bytes of good messages are flipped, cut, doubled, overwritten."""
    rng = random.Random(seed)
    reception = Reception(None, False, "here")
    for _ in range(2500):
        parts = [damaged(rng, part) if rng.random() < 0.7 else part for part in rng.choice(SEEDS)]
        try:
            reception.take(parts[: rng.choice((2, 2, 2, 2, 1, 0))] * rng.choice((1, 1, 1, 2)))
        except VersionError:
            continue
        while reception.ready:
            people = reception.ready.popleft().people
            for i in range(len(people)):
                people.rle(i)
    assert reception.malformed > 1000


@pytest.mark.parametrize("seed", range(2))
def test_thousands_of_damaged_requests_and_answers_crash_anybody(seed: int) -> None:
    rng = random.Random(seed)
    wire = Wire()
    for seq in range(5):
        wire.send(replace(FRAME, seq=seq))
    wire.reception.check()
    request = wire.reception.gaps[0].request
    asked = replace(request, first=0)
    good = pack_request(asked)
    for _ in range(2000):
        assert wire.ring.answer(damaged(rng, good))
        parts = [damaged(rng, part) if rng.random() < 0.3 else part for part in wire.ring.answer(good)]
        try:
            answer = read_answer(asked, parts)
        except SchemaError:
            continue
        assert all(frame.stream == "lobby" and 0 <= frame.seq < answer.to for frame in answer.frames)


def damaged(rng: random.Random, data: bytes) -> bytes:
    mutable = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(mutable) + 1)
        match rng.randrange(5):
            case 0:
                mutable[place : place + 1] = rng.randbytes(1)
            case 1:
                del mutable[place : place + rng.randint(1, 20)]
            case 2:
                mutable[place:place] = rng.randbytes(rng.randint(1, 8))
            case 3:
                mutable[place:place] = mutable[place : place + rng.randint(1, 60)]
            case _:
                mutable[place : place + 5] = rng.choice(
                    (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xcf" + b"\xff" * 8)
                )
    return bytes(mutable)
