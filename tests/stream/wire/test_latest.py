"""Viewers show what is now: old frames are passed over, and that is neither a loss nor a burden for anybody."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from stream.wire import Publisher, StreamStatus, Subscriber
from tests.stream.wire.samples import make_info, make_result

HERE = "tcp://127.0.0.1:0"


def test_a_slow_viewer_shows_old_frames_or_counts_those_passed_over_as_lost() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint, latest=True) as results:
        publisher.announce(make_info())
        publisher.wait_for_subscribers(["lobby", "gate"], 1, timeout=5)
        publisher.send(make_result("lobby", 0))
        assert results.receive(5).seq == 0  # type: ignore[union-attr]
        for seq in (1, 2, 3, 7, 8):
            publisher.send(make_result("lobby", seq))
            publisher.send(make_result("gate", seq))
        newest = {}
        while len(newest) < 2 or set(newest.values()) != {8}:
            result = results.receive(5)
            assert result is not None
            newest[result.stream] = result.seq
        assert results.lost["lobby"] == 3
        assert results.skipped["lobby"] > 0 and "lobby" in results.infos


def test_the_newest_frame_of_a_busy_stream_hides_those_of_the_others() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint, latest=True) as results:
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        publisher.send(make_result("gate", 0))
        for seq in range(300):
            publisher.send(make_result("lobby", seq, people=1))
        assert {results.receive(5).stream for _ in range(2)} == {"gate", "lobby"}  # type: ignore[union-attr]


def test_the_last_frame_is_passed_over_because_the_stream_has_ended() -> None:
    with (
        Publisher(HERE) as publisher,
        Subscriber(publisher.endpoint, latest=True, until_end=True, timeout=5) as results,
    ):
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        publisher.send(make_result())
        assert results.receive(5) is not None
        for seq in range(1, 20):
            publisher.send(make_result(seq=seq))
        publisher.report(StreamStatus("lobby", 0, "ended", 20))
        time.sleep(0.2)  # so that the end is here before the last frames are looked at
        shown = [0, *(result.seq for result in results)]
        assert shown[-1] == 19 and len(shown) + results.skipped["lobby"] == 20
        assert not results.lost.total()


def test_frames_of_a_stream_not_asked_for_are_shown_because_its_id_begins_alike() -> None:
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint, "cam1", latest=True) as results:
        publisher.wait_for_subscribers(["cam1"], 1, timeout=5)
        publisher.send(make_result("cam10"))
        publisher.send(make_result("cam1"))
        assert results.receive(5).stream == "cam1"  # type: ignore[union-attr]


def test_both_the_newest_frame_and_every_frame_are_asked_for() -> None:
    with pytest.raises(ValueError, match="not both"):
        Subscriber(HERE, latest=True, recover=True)


def test_a_flood_keeps_a_viewer_from_showing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.wire._subscription._AT_ONCE", 10)
    with Publisher(HERE) as publisher, Subscriber(publisher.endpoint, latest=True) as results:
        publisher.wait_for_subscribers(["lobby"], 1, timeout=5)
        for seq in range(200):
            publisher.send(replace(make_result(people=0), seq=seq))
        time.sleep(0.2)
        assert results.receive(0) is not None  # though more has arrived than is looked at in one go
