"""A feed comes back, whatever became of its connection; over connections that the tests make up."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from stream.config import StreamConfig
from stream.sources.backoff import Backoff
from stream.sources.faults import Fault
from stream.sources.feed import Feed
from stream.sources.reader import Picture, SourceError
from stream.types import Clock


class Eager(Backoff):
    """Waits for nothing, and takes note of what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Fault] = []

    def next(self, fault: Fault, lasted: float) -> float:
        self.asked.append(fault)
        return 0.0


class Connection:
    """Sends pictures with these pts, then fails or ends."""

    def __init__(self, *times: float | None, failure: SourceError | None = None, finite: bool = False) -> None:
        self.clock: Clock = "arrival"
        self.fps, self.frames, self.finite = 10.0, 0, finite
        self.closed = False
        self._times, self._failure = times, failure

    def pictures(self) -> Iterator[Picture]:
        for pts in self._times:
            yield Picture(pts, np.zeros((48, 64, 3), np.uint8), time.time())
        if self._failure:
            raise self._failure

    def close(self) -> None:
        self.closed = True


class Camera:
    """Gives out connections, or refuses them, in the order given; the last over and over."""

    def __init__(self, *plan: Connection | SourceError) -> None:
        self._plan = itertools.chain(plan, itertools.repeat(plan[-1]))
        self.attempts = 0

    def __call__(self, dropped: Counter[str], stopped: threading.Event) -> Connection:
        self.attempts += 1
        step = next(self._plan)
        if isinstance(step, SourceError):
            raise step
        return step


def feed(camera: Camera, **options: object) -> tuple[Feed, list[str | None], Eager]:
    troubles: list[str | None] = []
    config = StreamConfig.model_validate({"id": "a", "source": "rtsp://me:hunter2@cam/1", **options})
    backoff = Eager()
    return Feed(config, camera, troubles.append, backoff), troubles, backoff


def test_the_end_of_a_live_feed_is_a_lost_connection() -> None:
    source, troubles, _ = feed(Camera(Connection(0.0, 0.1), Connection(0.0, 0.1), Connection(0.0)))
    frames = list(itertools.islice(source, 5))
    assert [(frame.epoch, frame.seq) for frame in frames] == [(0, 0), (0, 1), (1, 2), (1, 3), (2, 4)]
    assert troubles == ["rtsp://***@cam/1: the other side ended it", None] * 2
    assert source.faults == {"ended": 2}


def test_attempts_that_bring_no_picture_raise_no_epoch() -> None:
    camera = Camera(
        SourceError("no", "refused"), Connection(), Connection(0.0), SourceError("no", "refused"), Connection(5.0)
    )
    source, _, backoff = feed(camera)
    frames = list(itertools.islice(source, 2))
    assert [frame.epoch for frame in frames] == [0, 1]
    assert backoff.asked == ["refused", "corrupt", "ended", "refused"]
    assert source.info.epoch == 1 and camera.attempts == 5


def test_every_connection_is_closed() -> None:
    connections = [Connection(0.0), Connection(), Connection(0.0, failure=SourceError("gone", "timeout"))]
    source, _, _ = feed(Camera(*connections, Connection(0.0)))
    with source:
        list(itertools.islice(source, 3))
    assert all(connection.closed for connection in connections)


def test_stop_ends_the_wait_for_the_next_attempt() -> None:
    config = StreamConfig(id="a", source="rtsp://cam/1")
    source = Feed(config, Camera(SourceError("no", "auth")))  # which waits for a minute
    threading.Timer(0.05, source.stop).start()
    started = time.monotonic()
    assert list(source) == []
    assert time.monotonic() - started < 5


def test_an_address_that_can_never_work_is_not_tried_again() -> None:
    camera = Camera(SourceError("cam://1: no such kind of address", "address"))
    source, _, _ = feed(camera)
    with pytest.raises(SourceError, match="no such kind"):
        list(source)
    assert camera.attempts == 1


def test_a_lost_feed_fills_the_log(caplog: pytest.LogCaptureFixture) -> None:
    source, troubles, _ = feed(Camera(*[SourceError("cam: refused", "refused")] * 50, Connection(0.0)))
    with caplog.at_level(logging.INFO):
        next(iter(source))
    assert troubles == ["cam: refused", None]
    assert [record.message.partition(";")[0] for record in caplog.records] == [
        "a: cam: refused",
        "a: is back after 0.0 s",
    ]
    assert source.faults == {"refused": 50}


def test_a_film_behind_http_starts_again_at_its_end_without_being_asked() -> None:
    source, troubles, _ = feed(Camera(Connection(0.0, 0.1, finite=True)))
    assert len(list(source)) == 2 and troubles == []
    source, _, _ = feed(Camera(Connection(0.0, 0.1, finite=True)), loop=True)
    assert len(list(itertools.islice(source, 5))) == 5


@pytest.mark.parametrize(
    "times",
    [(0.0, 0.1, 9e4, 9e4 + 0.1), (50.0, 50.1, 0.0, 0.1), (None, None, None, 5.0), (1.0, 1.0, 1.0, 1.0)],
    ids=["forwards", "backwards", "none", "stuck"],
)
def test_pts_that_jump_bend_the_time_of_capture(times: Sequence[float | None]) -> None:
    source, _, _ = feed(Camera(Connection(*times)))
    before = time.time()
    frames = list(itertools.islice(source, 4))
    captured = [frame.captured_at for frame in frames]
    assert all(before <= at <= time.time() for at in captured) and captured == sorted(captured)
    assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))


def test_stuck_pts_starve_a_stream_with_a_cap() -> None:
    class Slow(Connection):
        def pictures(self) -> Iterator[Picture]:
            for picture in super().pictures():
                time.sleep(0.02)
                yield picture

    source, _, _ = feed(Camera(Slow(*[7.0] * 50)), fps=10)
    started = time.monotonic()
    list(itertools.islice(source, 4))
    assert 0.2 < time.monotonic() - started < 2
    assert source.dropped["fps"] > 5


def test_no_picture_yet_makes_the_source_lie_about_its_size() -> None:
    source, _, _ = feed(Camera(Connection(0.0)))
    assert (source.info.width, source.info.height, source.info.source) == (0, 0, "rtsp://***@cam/1")
    next(iter(source))
    assert (source.info.width, source.info.height) == (64, 48)
