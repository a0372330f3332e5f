"""Streams that come and go while the graph runs: nothing is lost, mixed up or left behind."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

import stream.reading
from stream.config import DecodeConfig, StreamConfig
from stream.errors import StreamError
from stream.metrics import REMOVED
from stream.pipeline import Pipeline
from stream.sources.opening import open_source
from stream.sources.source import Source
from stream.summary import RunSummary
from stream.types import FrameResult
from stream.wire import Subscriber
from tests.stream.graphs import assembly, patterns

PATTERN = "testpattern://96x64@25"
LASTING = {"control": {"keep_running": True}}


def endless(id_: str, **options: object) -> StreamConfig:
    return StreamConfig.model_validate({"id": id_, "source": PATTERN, "pace": "realtime", **options})


def eventually(true: Callable[[], bool], within: float = 10.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def open_files() -> list[str]:
    """What every descriptor of this process stands for; skips the test where that cannot be seen."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("this system does not show open descriptors in /proc")
    return [str(entry.readlink()) for entry in folder.iterdir() if entry.is_symlink()]


@contextmanager
def running(pipeline: Pipeline) -> Iterator[list[RunSummary]]:
    """Run in a thread; the summary is in the list afterwards."""
    summaries: list[RunSummary] = []
    with pipeline:
        thread = threading.Thread(target=lambda: summaries.append(pipeline.run()))
        thread.start()
        try:
            yield summaries
        finally:
            pipeline.stop()
            thread.join(30)
            assert not thread.is_alive()


def test_streams_that_come_and_go_leave_something_behind() -> None:
    """Hundreds of streams; then threads, descriptors, trackers, counters and kept messages are as few as before."""
    publish = {"endpoint": "tcp://127.0.0.1:*"}
    pipeline = Pipeline(patterns(**LASTING, publish=publish), assembly=assembly())
    with running(pipeline) as summaries:

        def come_and_go(number: int) -> None:
            name = f"s{number}"
            pipeline.add_stream(StreamConfig(id=name, source=f"{PATTERN}?frames={number % 3 + 1}"))
            if number % 2:
                eventually(lambda: pipeline.streams[name].delivered > 0)
            pipeline.remove_stream(name)

        def some(number: int) -> None:
            with ThreadPoolExecutor(16) as threads:
                list(threads.map(come_and_go, range(number)))

        some(30)
        threads, descriptors = threading.active_count(), len(open_files())
        counters = len(pipeline.metrics._counts)
        some(500)
        assert threading.active_count() == threads
        assert len(open_files()) <= descriptors
        assert len(pipeline.metrics._counts) <= counters + 3  # three reasons for drops
        assert not pipeline.streams and not pipeline._delivery._streams
        assert pipeline._publisher is not None and not pipeline._publisher._last
        assert not pipeline._graph._batcher._inboxes
    (summary,) = summaries
    assert [stream.stream for stream in summary.streams] == [REMOVED]
    assert summary.frames + summary.dropped >= 265


def test_a_run_without_streams_ends_although_others_may_be_added_or_never_ends() -> None:
    with Pipeline(patterns("a", frames=5), assembly=assembly()) as pipeline:
        pipeline.run()
        with pytest.raises(StreamError, match="late"):
            pipeline.add_stream(endless("late"))
    pipeline = Pipeline(patterns("a", frames=5, **LASTING), assembly=assembly())
    with running(pipeline) as summaries:
        eventually(lambda: pipeline.streams["a"].health == "ended")
        time.sleep(0.3)
        assert not summaries
        pipeline.add_stream(StreamConfig(id="b", source=f"{PATTERN}?frames=7"))
        eventually(lambda: pipeline.streams["b"].health == "ended")
    assert [stream.frames for stream in summaries[0].streams] == [5, 7]


def test_a_stream_is_added_before_the_run_and_is_not_read() -> None:
    with Pipeline(patterns("a", frames=5), assembly=assembly()) as pipeline:
        pipeline.add_stream(StreamConfig(id="b", source=f"{PATTERN}?frames=6"))
        pipeline.add_stream(StreamConfig(id="c", source=f"{PATTERN}?frames=6"))
        pipeline.remove_stream("c")
        summary = pipeline.run()
    assert {stream.stream: stream.frames for stream in summary.streams} == {"a": 5, "b": 6}


def test_a_stream_that_comes_back_goes_on_with_the_ids_and_numbers_of_the_one_before() -> None:
    results: list[FrameResult] = []
    pipeline = Pipeline(patterns(**LASTING), assembly=assembly(), on_result=results.append)
    with running(pipeline):
        for _ in range(2):
            pipeline.add_stream(endless("a"))
            eventually(lambda: pipeline.streams["a"].delivered > 5)
            pipeline.remove_stream("a")
            results.append(None)  # type: ignore[arg-type]
    first, second = results[: results.index(None)], results[results.index(None) + 1 : -1]  # type: ignore[arg-type]
    for part in (first, second):
        assert [result.seq for result in part] == list(range(len(part)))
        assert {id_ for result in part for id_ in result.people.ids.tolist()} == {1}


def test_what_is_impossible_is_done_or_not_explained() -> None:
    pipeline = Pipeline(patterns("a", frames=5, **LASTING), assembly=assembly())
    with running(pipeline):
        with pytest.raises(StreamError, match=r"^a: there is such a stream already"):
            pipeline.add_stream(endless("a"))
        for act in (pipeline.remove_stream, pipeline.pause, pipeline.resume):
            with pytest.raises(StreamError, match=r"^b: there is no such stream; there are: a$"):
                act("b")


def test_the_file_of_a_removed_stream_stays_open(tmp_path: Path) -> None:
    record = {"dir": str(tmp_path), "formats": ["jsonl", "mp4"]}
    pipeline = Pipeline(patterns("other", frames=100000, record=record, **LASTING), assembly=assembly())
    with running(pipeline):
        pipeline.add_stream(StreamConfig(id="a", source=f"{PATTERN}?frames=9"))
        eventually(lambda: pipeline.streams["a"].health == "ended")
        pipeline.remove_stream("a")
        assert not [path for path in open_files() if "/a." in path]
        assert len([json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]) == 9


def test_subscribers_are_not_told_that_a_stream_left_or_paused() -> None:
    publish = {"endpoint": "tcp://127.0.0.1:*", "wait_subscribers": 0}
    pipeline = Pipeline(patterns(**LASTING, publish=publish), assembly=assembly())
    states: list[str] = []
    reasons = set()
    with running(pipeline), Subscriber(str(pipeline.endpoint), ["a"], timeout=10) as results:
        pipeline.add_stream(endless("a"))
        for number, _ in enumerate(results):
            status = results.statuses.get("a")
            if status is not None and (not states or states[-1] != status.state):
                states.append(status.state)
            if number == 3:
                pipeline.pause("a")
                eventually(lambda: pipeline.streams["a"].told_paused)
                pipeline.streams["a"].trouble = "lost"
                eventually(lambda: pipeline.streams["a"].told_trouble == "lost")
                pipeline.streams["a"].trouble = None
                pipeline.resume("a")
            if status is not None:
                reasons.add(status.reason)
            if number > 30:
                break
        pipeline.remove_stream("a")
    assert "paused" in states and states[-1] == "running"
    assert reasons == {""}, "a feed that is lost while it is paused is paused"


def test_a_pause_loses_frames_of_a_file_that_is_read_as_fast_as_possible() -> None:
    seen: list[int] = []
    pipeline = Pipeline(
        patterns("a", frames=300, **LASTING),
        assembly=assembly(lambda _: time.sleep(0.002)),
        on_result=lambda result: seen.append(result.seq),
    )
    with running(pipeline) as summaries:
        eventually(lambda: len(seen) > 10)
        pipeline.pause("a")
        time.sleep(0.3)  # what is under way arrives
        before = len(seen)
        assert before < 300 and pipeline.streams["a"].health == "paused"
        time.sleep(0.3)
        assert len(seen) == before
        pipeline.resume("a")
        eventually(lambda: pipeline.streams["a"].health == "ended")
    assert seen == list(range(300)) and summaries[0].dropped == 0


def test_a_stream_in_real_time_catches_up_after_a_pause() -> None:
    """It would be late for as long as the pause was; instead it goes on with now, and what it showed is counted."""
    results: list[FrameResult] = []
    pipeline = Pipeline(patterns(**LASTING), assembly=assembly(), on_result=results.append)
    with running(pipeline):
        pipeline.add_stream(endless("a"))
        eventually(lambda: len(results) > 5)
        pipeline.pause("a")
        time.sleep(0.1)
        before = len(results)
        time.sleep(0.6)
        pipeline.resume("a")
        eventually(lambda: len(results) > before + 5)
        dropped = pipeline.streams["a"].dropped["paused"]
        assert dropped >= 8
        after = results[before]
    assert after.published_at - after.captured_at < 0.4
    assert after.seq >= before + 8


def test_a_source_that_hangs_blocks_its_removal_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    freed = threading.Event()

    def hanging(config: StreamConfig, decode: DecodeConfig, *rest: object, **more: object) -> Source:
        if config.id == "hangs":
            freed.wait(20)
        return open_source(config, decode)

    monkeypatch.setattr(stream.reading, "open_source", hanging)
    counts: dict[str, int] = defaultdict(int)

    def count(result: FrameResult) -> None:
        counts[result.stream] += 1

    pipeline = Pipeline(patterns(**LASTING), assembly=assembly(), on_result=count)
    with running(pipeline):
        pipeline.add_stream(endless("fine"))
        pipeline.add_stream(endless("hangs"))
        with pytest.raises(StreamError, match="has not ended within"):
            pipeline.remove_stream("hangs", timeout=0.2)
        before = counts["fine"]
        eventually(lambda: counts["fine"] > before + 3)
        freed.set()
        eventually(lambda: "hangs" not in pipeline.streams)
    assert not counts["hangs"]


def test_many_threads_that_change_the_streams_at_once_disturb_each_other() -> None:
    pipeline = Pipeline(patterns("stays", frames=100000, **LASTING), assembly=assembly())
    failures: list[BaseException] = []

    def change(name: str) -> None:
        try:
            for _ in range(10):
                pipeline.add_stream(endless(name))
                pipeline.pause(name)
                pipeline.resume(name)
                pipeline.reports()
                pipeline.remove_stream(name)
        except BaseException as error:
            failures.append(error)

    with running(pipeline):
        threads = [threading.Thread(target=change, args=(f"t{i}",)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not failures
        assert list(pipeline.streams) == ["stays"]
        before = pipeline.streams["stays"].delivered
        eventually(lambda: pipeline.streams["stays"].delivered > before)


def test_reports_show_credentials_or_wrong_figures() -> None:
    pipeline = Pipeline(patterns(**LASTING), assembly=assembly())
    with running(pipeline):
        pipeline.add_stream(endless("a"))
        pipeline.add_stream(StreamConfig(id="camera", source="rtsp://admin:hunter2@127.0.0.1:9/1?token=geheim"))
        time.sleep(2.5)
        figures = {report["id"]: report for report in pipeline.reports()}
    assert "hunter2" not in json.dumps(figures) and "geheim" not in json.dumps(figures)
    a = figures["a"]
    assert (a["state"], a["width"], a["height"], a["people"]) == ("running", 96, 64, 1)
    assert 15 < a["fps_in"] < 35 and 15 < a["fps_out"] < 35
    assert a["frames"] > 20 and a["latency_ms"]["p95"] > 0
    assert figures["camera"]["state"] in ("opening", "reconnecting", "failed")
