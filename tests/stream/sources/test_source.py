"""Numbering, timing and pacing of a file's frames, over a medium that the tests make up."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from stream.config import StreamConfig
from stream.sources.reader import Picture, SourceError
from stream.sources.source import MediumSource
from stream.types import Clock


class FakeReader:
    """Pictures at the given times, `fps` of them per second by its own account."""

    finite = True

    def __init__(
        self,
        times: Sequence[float | None],
        fps: float = 10,
        clock: Clock = "file",
        sizes: Sequence[tuple[int, int]] = (),
        failure: SourceError | None = None,
    ) -> None:
        self.clock: Clock = clock
        self.fps, self.frames = fps, len(times)
        self.closed = 0
        self._times, self._sizes, self._failure = times, sizes, failure

    def pictures(self) -> Iterator[Picture]:
        for i, pts in enumerate(self._times):
            width, height = self._sizes[i] if self._sizes else (64, 48)
            yield Picture(pts, np.zeros((height, width, 3), np.uint8))
        if self._failure:
            raise self._failure

    def close(self) -> None:
        self.closed += 1


def make(make_reader: Callable[[], FakeReader], **options: object) -> tuple[MediumSource, list[FakeReader]]:
    """A source and the readers that it has opened so far."""
    opened: list[FakeReader] = []

    def open_reader(dropped: Counter[str]) -> FakeReader:
        assert dropped is not None
        opened.append(make_reader())
        return opened[-1]

    config = StreamConfig.model_validate({"id": "a", "source": "rtsp://me:hunter2@cam/1", **options})
    return MediumSource(config, open_reader), opened


def ticks(count: int, fps: float = 10) -> list[float | None]:
    return [i / fps for i in range(count)]


def test_a_loop_goes_on_counting_while_the_epoch_rises_and_the_media_time_starts_again() -> None:
    source, opened = make(lambda: FakeReader(ticks(3)), loop=True)
    with source:
        frames = [frame for frame, _ in zip(source, range(8), strict=False)]
    assert [frame.seq for frame in frames] == list(range(8))
    assert [frame.epoch for frame in frames] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert [frame.pts for frame in frames] == pytest.approx([0, 0.1, 0.2, 0, 0.1, 0.2, 0, 0.1])
    steps = np.diff([frame.captured_at for frame in frames])
    assert steps == pytest.approx(np.full(7, 0.1), abs=1e-4), "the time of capture must not jump where the loop closes"
    assert len(opened) == 3 and all(reader.closed for reader in opened)
    assert source.info.epoch == 2


def test_a_files_frames_are_captured_when_it_was_opened_plus_their_media_time() -> None:
    before = time.time()
    source, _ = make(lambda: FakeReader([90_000.0, 90_000.5, 90_002.0]))  # a recording need not begin at zero
    captured = [frame.captured_at for frame in source]
    assert before <= captured[0] <= time.time()
    assert np.diff(captured) == pytest.approx([0.5, 1.5], abs=1e-4)


@pytest.mark.parametrize(
    ("fps", "cap", "kept"), [(30, 10, 20), (25, 10, 20), (10, 30, 20), (30, 30, 60), (29.97, 30, 60)]
)
def test_the_cap_thins_evenly_counts_what_it_drops_and_leaves_no_gap_in_seq(fps: float, cap: float, kept: int) -> None:
    count = round(2 * fps)
    rounded = [round(1000 * i / fps) / 1000 for i in range(count)]  # as containers with milliseconds have them
    source, _ = make(lambda: FakeReader(rounded, fps), fps=cap)
    frames = list(source)
    assert len(frames) == kept
    assert source.dropped["fps"] == count - kept
    assert [frame.seq for frame in frames] == list(range(kept))
    assert np.diff([frame.pts for frame in frames]).max() <= 1.5 / min(cap, fps) + 1e-3


def test_the_cap_does_not_let_frames_rush_through_after_a_pause() -> None:
    times = [0.0, *(10 + i / 100 for i in range(100))]
    source, _ = make(lambda: FakeReader(times, 100), fps=10)
    assert len(list(source)) == pytest.approx(11, abs=1)


def test_the_info_of_a_capped_stream_counts_what_it_will_deliver() -> None:
    source, _ = make(lambda: FakeReader(ticks(30)), fps=5)
    assert (source.info.fps, source.info.frames) == (5, 15)
    assert len(list(source)) == 15


def test_the_info_of_an_endless_loop_promises_no_number_of_frames() -> None:
    source, _ = make(lambda: FakeReader(ticks(30)), loop=True)
    assert source.info.frames == 0


def test_the_info_never_holds_credentials() -> None:
    source, _ = make(lambda: FakeReader(ticks(1)))
    assert source.info.source == "rtsp://***@cam/1"


def test_real_time_takes_as_long_as_the_file_plays() -> None:
    source, _ = make(lambda: FakeReader(ticks(5, fps=20), fps=20), pace="realtime")
    started = time.monotonic()
    assert len(list(source)) == 5
    assert 0.18 <= time.monotonic() - started < 1.0


def test_a_slow_consumer_in_real_time_gets_every_frame_and_no_further_delay() -> None:
    source, _ = make(lambda: FakeReader(ticks(5, fps=20), fps=20), pace="realtime")
    started = time.monotonic()
    count = 0
    for _ in source:
        count += 1
        time.sleep(0.06)
    assert count == 5
    assert time.monotonic() - started < 0.45, "what the consumer needs must count as waiting"


def test_stop_ends_a_wait_at_once() -> None:
    source, _ = make(lambda: FakeReader([0.0, 3600.0]), pace="realtime")
    threading.Timer(0.05, source.stop).start()
    started = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - started < 5


def test_a_stopped_loop_ends() -> None:
    source, opened = make(lambda: FakeReader(ticks(2)), loop=True)
    frames = iter(source)
    next(frames)
    source.stop()
    assert list(frames) == []
    assert len(opened) == 1


def test_a_source_without_a_picture_is_refused_and_closed_when_it_is_opened() -> None:
    readers: list[FakeReader] = []

    def empty() -> FakeReader:
        readers.append(FakeReader([]))
        return readers[-1]

    with pytest.raises(SourceError, match=r"^rtsp://\*\*\*@cam/1: not one picture in it can be decoded$"):
        make(empty)
    assert readers[0].closed == 1


def test_a_source_that_breaks_off_before_its_first_picture_is_closed() -> None:
    readers: list[FakeReader] = []

    def broken() -> FakeReader:
        readers.append(FakeReader([], failure=SourceError("gone")))
        return readers[-1]

    with pytest.raises(SourceError, match="gone"):
        make(broken)
    assert readers[0].closed == 1


def test_a_source_that_breaks_off_delivers_what_came_before() -> None:
    source, opened = make(lambda: FakeReader(ticks(2), failure=SourceError("gone")))
    got = []
    with pytest.raises(SourceError, match="gone"), source:
        for frame in source:
            got.append(frame.seq)  # noqa: PERF401 - extend() would lose what came before the failure
    assert got == [0, 1]
    assert opened[0].closed


def test_a_change_of_size_is_followed_and_announced(caplog: pytest.LogCaptureFixture) -> None:
    source, _ = make(lambda: FakeReader(ticks(3), sizes=[(64, 48), (64, 48), (32, 100)]))
    with caplog.at_level(logging.INFO):
        widths = [(frame.width, source.info.width, source.info.height) for frame in source]
    assert widths == [(64, 64, 48), (64, 64, 48), (32, 32, 100)]
    assert "now 32 x 100" in caplog.text
