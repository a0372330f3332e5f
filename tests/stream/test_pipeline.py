"""The running graph: every frame of a file arrives, a broken part takes nothing else down, nothing is left behind."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import pytest

from models.tasks import Image
from stream.config import StreamConfig
from stream.pipeline import Pipeline
from stream.sinks import SinkError
from stream.types import FrameResult, StreamInfo
from stream.wire import Subscriber
from tests.stream.graphs import assembly, patterns


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while (left := set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def test_frames_of_a_file_are_lost_or_shuffled() -> None:
    results: dict[str, list[FrameResult]] = defaultdict(list)
    slow_start = [0.02, 0.0, 0.01]

    def before(images: Sequence[Image]) -> None:
        time.sleep(slow_start[len(images) % 3])

    with Pipeline(
        patterns("a", "b", "c", frames=40),
        assembly=assembly(before),
        on_result=lambda result: results[result.stream].append(result),
    ) as pipeline:
        summary = pipeline.run()
    assert {id_: [r.seq for r in of] for id_, of in results.items()} == {id_: list(range(40)) for id_ in "abc"}
    assert summary.frames == 120 and summary.dropped == 0
    assert [stream.frames for stream in summary.streams] == [40, 40, 40]


def test_a_source_that_cannot_be_opened_takes_the_others_down(tmp_path: Path) -> None:
    config = patterns("fine", frames=10)
    broken = StreamConfig(id="broken", source=str(tmp_path / "nowhere.mp4"))
    config = config.model_copy(update={"streams": (*config.streams, broken)})
    with Pipeline(config, assembly=assembly()) as pipeline:
        summary = pipeline.run()
    by_id = {stream.stream: stream for stream in summary.streams}
    assert by_id["fine"].frames == 10 and by_id["fine"].error is None
    assert by_id["broken"].frames == 0 and "nowhere.mp4" in str(by_id["broken"].error)


def test_a_network_that_fails_hangs_the_run_or_is_kept_quiet() -> None:
    def before(images: Sequence[Image]) -> None:
        raise RuntimeError("the network is broken")

    with Pipeline(patterns("a", frames=500), assembly=assembly(before)) as pipeline:
        start = time.monotonic()
        with pytest.raises(RuntimeError, match="the network is broken"):
            pipeline.run()
        assert time.monotonic() - start < 5


def test_a_listener_that_fails_hangs_the_run_or_is_kept_quiet() -> None:
    def listen(result: FrameResult) -> None:
        raise KeyError(result.seq)

    with (
        Pipeline(patterns("a", frames=500), assembly=assembly(), on_result=listen) as pipeline,
        pytest.raises(KeyError),
    ):
        pipeline.run()


def test_stop_loses_frames_that_were_under_way() -> None:
    """Every frame that was read is delivered, although the stop comes in the middle of an endless stream."""
    seen: list[int] = []
    config = patterns("a", frames=100000)
    with Pipeline(
        config, assembly=assembly(lambda _: time.sleep(0.005)), on_result=lambda r: seen.append(r.seq)
    ) as line:
        timer = threading.Timer(0.4, line.stop)
        timer.start()
        start = time.monotonic()
        summary = line.run()
    assert time.monotonic() - start < 5
    assert seen == list(range(len(seen))) and len(seen) == summary.frames > 5


def test_a_run_goes_on_beyond_its_duration() -> None:
    with Pipeline(patterns("a", frames=100000), assembly=assembly(lambda _: time.sleep(0.005))) as pipeline:
        start = time.monotonic()
        pipeline.run(duration=0.3)
    assert 0.3 <= time.monotonic() - start < 5


class Failing:
    """A sink whose disk is full after three results."""

    needs_images = False

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.written = 0
        self.closed = False

    def start(self, info: StreamInfo, /) -> None:
        pass

    def write(self, result: FrameResult, image: Image | None, /) -> None:
        if self.written == 3:
            raise SinkError("cannot record to film.mp4: No space left on device")
        self.written += 1

    def close(self) -> None:
        self.closed = True


def test_a_full_disk_takes_the_run_or_the_other_recordings_down(tmp_path: Path) -> None:
    failing = Failing()
    config = patterns("a", frames=30, record={"dir": str(tmp_path), "formats": ["jsonl"]})
    with Pipeline(config, assembly=assembly(), sinks=[failing]) as pipeline:
        summary = pipeline.run()
    assert summary.failures == ("cannot record to film.mp4: No space left on device",)
    assert failing.closed and failing.written == 3
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 30


def test_recordings_disagree_with_what_was_delivered(tmp_path: Path) -> None:
    results: list[FrameResult] = []
    config = patterns("a", "b", frames=30, record={"dir": str(tmp_path)})
    with Pipeline(config, assembly=assembly(), on_result=results.append) as pipeline:
        summary = pipeline.run()
    for id_ in "ab":
        lines = [json.loads(line) for line in (tmp_path / f"{id_}.jsonl").read_text().splitlines()]
        ours = [result for result in results if result.stream == id_]
        assert [line["seq"] for line in lines] == [result.seq for result in ours] == list(range(30))
        assert [[p["id"] for p in line["people"]] for line in lines] == [r.people.ids.tolist() for r in ours]
        with av.open(str(tmp_path / f"{id_}.mp4")) as film:
            assert sum(1 for _ in film.decode(video=0)) == 30
    assert sorted(Path(path).name for path in summary.recorded) == ["a.jsonl", "a.mp4", "b.jsonl", "b.mp4"]


def test_a_subscriber_misses_frames_or_is_not_told_of_the_end() -> None:
    publish = {"endpoint": "tcp://127.0.0.1:*", "wait_subscribers": 1, "wait_seconds": 10}
    config = patterns("a", "b", frames=100, publish=publish)
    seen: dict[str, list[int]] = defaultdict(list)
    subscribed: list[Subscriber] = []
    with Pipeline(config, assembly=assembly()) as pipeline:
        assert pipeline.endpoint is not None

        def listen(endpoint: str) -> None:
            with Subscriber(endpoint, streams=["a", "b"], timeout=20, until_end=True) as results:
                subscribed.append(results)
                for result in results:
                    seen[result.stream].append(result.seq)

        listener = threading.Thread(target=listen, args=(pipeline.endpoint,))
        listener.start()
        pipeline.run()
        listener.join(20)
        assert not listener.is_alive()
    assert seen == {"a": list(range(100)), "b": list(range(100))}
    assert subscribed[0].infos["a"].models == {"detector": "walker"}
    assert {status.state for status in subscribed[0].statuses.values()} == {"ended"}


def test_a_run_begins_without_the_subscribers_it_was_told_to_wait_for() -> None:
    publish = {"endpoint": "tcp://127.0.0.1:*", "wait_subscribers": 1, "wait_seconds": 0.2}
    with (
        Pipeline(patterns("a", publish=publish), assembly=assembly()) as pipeline,
        pytest.raises(TimeoutError, match="waited"),
    ):
        pipeline.run()


def test_ids_of_one_stream_depend_on_the_others() -> None:
    ids: dict[str, set[int]] = defaultdict(set)
    with Pipeline(
        patterns("a", "b", "c", frames=30),
        assembly=assembly(),
        on_result=lambda r: ids[r.stream].update(r.people.ids.tolist()),
    ) as pipeline:
        pipeline.run()
    assert ids == {"a": {1}, "b": {1}, "c": {1}}


def test_figures_of_the_summary_do_not_add_up() -> None:
    with Pipeline(patterns("a", frames=25), assembly=assembly()) as pipeline:
        summary = pipeline.run()
    figures = summary.as_json()
    assert figures["frames"] == 25 and figures["dropped"] == 0
    assert figures["fps"] == round(25 / summary.seconds, 3)
    assert {"p50", "p95", "p99"} == set(figures["latency_ms"])
    assert figures["stages"]["perceive"]["calls"] >= 25 / 4
    assert {"machine", "backend", "precision", "threads", "people_per_frame"} <= set(figures)
