"""Batches under a deadline: fair, bounded, and never held up by a stream that has nothing."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.batching import Batcher, BatcherEndedError, Terms
from stream.types import Frame


def frame(stream: str, seq: int = 0) -> Frame:
    return Frame(stream, 0, seq, seq / 25, seq / 25, "file", np.zeros((4, 4, 3), np.uint8))


def test_a_silent_stream_holds_up_a_batch_beyond_the_deadline() -> None:
    batcher = Batcher(size=8, deadline=0.05)
    busy, silent = batcher.open(Terms(4, "every")), batcher.open(Terms(4, "every"))
    busy.put(frame("busy"), timeout=1)
    start = time.monotonic()
    batch = batcher.next(timeout=5)
    assert batch is not None and [w.frame.stream for w in batch] == ["busy"]
    assert time.monotonic() - start < 0.5
    assert len(silent) == 0


def test_a_batch_waits_although_every_stream_has_a_frame_in_it() -> None:
    batcher = Batcher(size=8, deadline=60)
    for name in "ab":
        batcher.open(Terms(4, "every")).put(frame(name), timeout=1)
    start = time.monotonic()
    batch = batcher.next(timeout=5)
    assert batch is not None and len(batch) == 2
    assert time.monotonic() - start < 1


def test_a_batch_waits_for_a_stream_that_has_ended() -> None:
    batcher = Batcher(size=8, deadline=60)
    batcher.open(Terms(4, "every")).put(frame("a"), timeout=1)
    ended = batcher.open(Terms(4, "every"))
    ended.close()
    start = time.monotonic()
    assert len(batcher.next(timeout=5) or []) == 1
    assert time.monotonic() - start < 1


def test_two_frames_of_one_stream_make_each_other_wait() -> None:
    batcher = Batcher(size=8, deadline=60)
    inboxes = {name: batcher.open(Terms(4, "every")) for name in "ab"}
    for name in "aab":
        inboxes[name].put(frame(name), timeout=1)
    assert [w.frame.stream for w in batcher.next(timeout=5) or []] == ["a", "b"]


def test_frames_that_wait_in_a_closed_inbox_are_lost() -> None:
    batcher = Batcher(size=1, deadline=0)
    inbox = batcher.open(Terms(4, "every"))
    for seq in range(3):
        inbox.put(frame("a", seq), timeout=1)
    inbox.close()
    seen = []
    while (batch := batcher.next(timeout=1)) is not None:
        seen += [w.frame.seq for w in batch]
    assert seen == [0, 1, 2]


def test_every_drops_a_frame_instead_of_making_its_reader_wait() -> None:
    batcher = Batcher(size=1, deadline=0)
    inbox = batcher.open(Terms(1, "every"))
    assert inbox.put(frame("a", 0), timeout=0)
    assert not inbox.put(frame("a", 1), timeout=0.01)
    assert (inbox.dropped, len(inbox)) == (0, 1)
    taker = threading.Timer(0.05, batcher.next, (1,))
    taker.start()
    assert inbox.put(frame("a", 1), timeout=5)
    taker.join(5)


def test_latest_keeps_a_stale_frame_or_forgets_to_count_the_drop() -> None:
    batcher = Batcher(size=4, deadline=0)
    inbox = batcher.open(Terms(1, "latest"))
    for seq in range(5):
        assert inbox.put(frame("a", seq), timeout=0)
    batch = batcher.next(timeout=1)
    assert batch is not None and [w.frame.seq for w in batch] == [4]
    assert inbox.dropped == 4


def test_a_reader_blocks_for_ever_on_an_inbox_that_was_given_up() -> None:
    batcher = Batcher(size=1, deadline=0)
    inbox = batcher.open(Terms(1, "every"))
    inbox.put(frame("a", 0), timeout=0)
    threading.Timer(0.05, inbox.discard).start()
    assert inbox.put(frame("a", 1), timeout=5)
    assert batcher.next(timeout=1) is None


@pytest.mark.parametrize("timeout", [0.0, 0.02])
def test_nothing_to_do_is_mistaken_for_the_end(timeout: float) -> None:
    batcher = Batcher(size=1, deadline=0)
    batcher.open(Terms(1, "every"))
    assert batcher.next(timeout) == []


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(1, 5))
def test_a_stream_starves_or_its_frames_change_order(waiting: list[int], size: int) -> None:
    """Whatever waits: all of it comes out, in order, and no stream is more than one turn ahead of a waiting one."""
    batcher = Batcher(size=size, deadline=0)
    for stream, count in enumerate(waiting):
        inbox = batcher.open(Terms(8, "every"))
        for seq in range(count):
            inbox.put(frame(str(stream), seq), timeout=0)
        inbox.close()
    seen: dict[str, list[int]] = {str(stream): [] for stream in range(len(waiting))}
    while (batch := batcher.next(timeout=1)) is not None:
        assert len(batch) <= size
        for item in batch:
            seen[item.frame.stream].append(item.frame.seq)
            unfinished = [len(seen[str(s)]) for s, count in enumerate(waiting) if len(seen[str(s)]) < count]
            assert not unfinished or len(seen[item.frame.stream]) <= min(unfinished) + 1
    assert seen == {str(stream): list(range(count)) for stream, count in enumerate(waiting)}


def test_a_paused_stream_holds_up_a_batch_or_is_served() -> None:
    batcher = Batcher(size=8, deadline=60)
    busy, held, dropping = (batcher.open(Terms(4, policy)) for policy in ("every", "every", "latest"))
    held.hold()
    dropping.drop("paused")
    busy.put(frame("busy"), timeout=1)
    assert not held.put(frame("held"), timeout=0.01)
    assert dropping.put(frame("dropping"), timeout=0)
    start = time.monotonic()
    assert [w.frame.stream for w in batcher.next(timeout=5) or []] == ["busy"]
    assert time.monotonic() - start < 1
    assert dict(dropping.drops) == {"paused": 1} and held.dropped == 0
    for inbox in (held, dropping):
        inbox.resume()
        assert inbox.put(frame("again"), timeout=0)


def test_a_frame_beyond_the_budget_is_served_or_not_counted() -> None:
    batcher = Batcher(size=8, deadline=0)
    hurried, patient = batcher.open(Terms(1, "latest", budget=0.02)), batcher.open(Terms(1, "latest"))
    for inbox, name in ((hurried, "hurried"), (patient, "patient")):
        inbox.put(frame(name), timeout=0)
    time.sleep(0.03)
    assert [w.frame.stream for w in batcher.next(timeout=1) or []] == ["patient"]
    assert dict(hurried.drops) == {"late": 1} and not patient.drops
    hurried.put(frame("hurried", 1), timeout=0)
    assert [w.frame.seq for w in batcher.next(timeout=1) or []] == [1]


def test_a_batch_that_waits_for_others_makes_its_own_frames_late() -> None:
    batcher = Batcher(size=8, deadline=60)
    hurried, _ = batcher.open(Terms(1, "latest", budget=0.4)), batcher.open(Terms(1, "latest"))
    hurried.put(frame("hurried"), timeout=0)
    assert len(batcher.next(timeout=5) or []) == 1 and not hurried.drops


def test_other_terms_lose_what_waits_or_a_reader_that_waits() -> None:
    batcher = Batcher(size=1, deadline=0)
    inbox = batcher.open(Terms(2, "every"))
    for seq in range(2):
        inbox.put(frame("a", seq), timeout=0)
    threading.Timer(0.05, inbox.adopt, (Terms(3, "every"),)).start()
    assert inbox.put(frame("a", 2), timeout=5)
    inbox.adopt(Terms(1, "latest"))
    assert inbox.put(frame("a", 3), timeout=0)
    assert [w.frame.seq for w in batcher.next(timeout=1) or []] == [3]
    assert dict(inbox.drops) == {"newer frame came": 3}


def test_frames_that_wait_when_a_stream_is_dropped_are_served_or_not_counted() -> None:
    batcher = Batcher(size=8, deadline=0)
    inbox = batcher.open(Terms(4, "every"))
    for seq in range(3):
        inbox.put(frame("a", seq), timeout=1)
    inbox.drop("removed")
    inbox.put(frame("a", 3), timeout=1)
    assert batcher.next(timeout=0.01) == [] and dict(inbox.drops) == {"removed": 4}


def test_a_lasting_batcher_ends_with_its_last_inbox_or_never() -> None:
    batcher = Batcher(size=8, deadline=0, lasting=True)
    batcher.open(Terms(4, "every")).close()
    assert batcher.next(timeout=0.01) == []
    batcher.open(Terms(4, "every")).put(frame("late"), timeout=1)
    assert len(batcher.next(timeout=1) or []) == 1
    batcher.end()
    assert batcher.next(timeout=0.01) == []  # one is open still
    batcher._inboxes[0].close()
    assert batcher.next(timeout=0.01) is None
    with pytest.raises(BatcherEndedError):
        batcher.open(Terms(4, "every"))
