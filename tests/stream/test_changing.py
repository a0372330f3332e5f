"""Streams that are changed while they run: at once where that can be, by another source where it cannot."""

from __future__ import annotations

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

import stream.reading
from stream.config import Config, ConfigError, DecodeConfig, StreamConfig
from stream.control import ControlClient
from stream.errors import StreamError
from stream.pipeline import Pipeline
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from stream.sources.source import Source
from stream.types import Frame, FrameResult, StreamInfo
from stream.wire import Publisher, StreamStatus
from tests.stream.graphs import assembly, patterns
from tests.stream.sources.test_kinds import Mjpeg, serving
from tests.stream.test_roster import LASTING, PATTERN, endless, eventually, running


class Changing:
    """A run of the streams `a` and `other`, and what came of it."""

    def __init__(self, before: Callable[[object], None] = lambda _: None) -> None:
        self.results: defaultdict[str, list[FrameResult]] = defaultdict(list)
        config = patterns(control={"endpoint": "tcp://127.0.0.1:*"})
        self.pipeline = Pipeline(
            config, assembly=assembly(before), on_result=lambda result: self.results[result.stream].append(result)
        )
        for id_ in ("a", "other"):
            self.pipeline.add_stream(endless(id_))

    def newest(self) -> FrameResult:
        return self.results["a"][-1]

    def further(self, frames: int = 3) -> None:
        """Wait for more frames of `a`."""
        before = len(self.results["a"])
        eventually(lambda: len(self.results["a"]) >= before + frames)


@pytest.fixture
def run() -> Iterator[Changing]:
    changing = Changing()
    with running(changing.pipeline):
        changing.further()
        yield changing


def test_masks_region_and_budget_wait_for_another_connection(run: Changing) -> None:
    run.pipeline.change_stream("a", masks=False, region=[[0, 0], [0.1, 0], [0, 0.1]], max_latency_ms=0)
    eventually(lambda: len(run.newest().people) == 0)
    config = run.pipeline.streams["a"].config
    assert not config.masks and len(config.region) == 3
    run.pipeline.change_stream("a", region=[])
    eventually(lambda: len(run.newest().people) == 1)
    results = run.results["a"]
    assert {result.epoch for result in results} == {0}
    assert [result.seq for result in results] == list(range(len(results)))


def test_a_stream_that_is_opened_anew_loses_its_numbers_or_disturbs_another(run: Changing) -> None:
    for epoch, source in enumerate(("testpattern://128x96@25", "testpattern://64x48@25"), start=1):
        run.pipeline.change_stream("a", source=source)
        eventually(lambda epoch=epoch: run.newest().epoch == epoch)
        run.further()
    results, other = run.results["a"], run.results["other"]
    assert {(result.epoch, result.width) for result in results} == {(0, 96), (1, 128), (2, 64)}
    assert [result.seq for result in results] == sorted({result.seq for result in results})
    assert max(b.seq - a.seq for a, b in itertools.pairwise(results)) <= 2, "a frame that was under way, at most"
    for _, of_epoch in itertools.groupby(results, lambda result: result.epoch):
        assert {id_ for result in of_epoch for id_ in result.people.ids.tolist()} == {1}
    assert {result.epoch for result in other} == {0}
    assert [result.seq for result in other] == list(range(len(other)))


def test_a_wrong_change_changes_something_or_is_not_explained(run: Changing) -> None:
    before = run.pipeline.streams["a"].config
    with ControlClient(str(run.pipeline.control_endpoint)) as client:
        for options, sentence in (
            ({"maks": False}, "maks: unknown key; did you mean masks?"),
            ({"pace": "realtim", "masks": False}, "did you mean realtime"),
            ({"fps": -1}, "fps: must be greater than or equal to 0, but is -1"),
            ({"policy": "every", "max_latency_ms": 10}, "max_latency_ms: nothing is dropped"),
            ({"policy": "every", "backlog": 3}, "backlog: is for streams that drop"),
            ({"source": "nowhere.mp4"}, "no such file or folder: nowhere.mp4"),
            ({"id": "b"}, "id: cannot be changed"),
            ({"id": ["a"]}, "id: cannot be changed"),
        ):
            with pytest.raises(StreamError) as failure:
                client.ask("change", id="a", options=options)
            assert sentence in str(failure.value) and "\n" not in str(failure.value)
        with pytest.raises(StreamError, match=r"^b: there is no such stream"):
            client.ask("change", id="b", options={"fps": 5})
    with pytest.raises(ConfigError):
        run.pipeline.change_stream("a", maks=False)
    run.further()
    assert run.pipeline.streams["a"].config is before and run.newest().epoch == 0


def test_a_change_over_the_socket_is_not_obeyed(run: Changing) -> None:
    with ControlClient(str(run.pipeline.control_endpoint)) as client:
        assert client.ask("change", id="a", options={"masks": False})["id"] == "a"
        run.further()
        assert not run.pipeline.streams["a"].config.masks and run.newest().epoch == 0
        assert client.ask("change", id="a", options={"fps": 5})["id"] == "a"
        eventually(lambda: client.ask("list")["streams"][0]["dropped"].get("fps", 0) > 4)
        dropped = client.ask("list")["streams"][0]["dropped"]["fps"]
        assert client.ask("change", id="a", options={"fps": 0})["id"] == "a"
        run.further()
        assert client.ask("list")["streams"][0]["dropped"]["fps"] >= dropped, "what was counted before is forgotten"


def test_a_paused_stream_goes_on_when_it_is_changed(run: Changing) -> None:
    run.pipeline.pause("a")
    run.pipeline.change_stream("a", pace="fast")
    time.sleep(0.3)
    before = len(run.results["a"])
    time.sleep(0.3)
    assert len(run.results["a"]) == before
    run.pipeline.change_stream("a", pace="realtime", policy="latest")
    time.sleep(0.3)
    assert len(run.results["a"]) == before
    run.pipeline.resume("a")
    run.further()


def test_a_stream_that_is_over_is_changed_in_vain(run: Changing) -> None:
    run.pipeline.add_stream(StreamConfig(id="film", source=f"{PATTERN}?frames=3"))
    eventually(lambda: run.pipeline.streams["film"].health == "ended")
    with pytest.raises(StreamError, match="film: is over and cannot be changed; remove it and add it anew"):
        run.pipeline.change_stream("film", masks=False)


def test_a_source_that_the_change_cannot_open_takes_the_others_down(run: Changing) -> None:
    run.pipeline.change_stream("a", source="rtsp://me:hunter2@127.0.0.1:9/cam", open_timeout=1)
    eventually(lambda: run.pipeline.streams["a"].disconnections.get("refused", 0) >= 1)
    report = run.pipeline.reports()[0]
    assert report["state"] == "reconnecting" and "nobody answers" in report["reason"] and report["live"]
    assert "hunter2" not in str(report)
    before = len(run.results["other"])
    run.pipeline.change_stream("a", source=PATTERN)
    run.further()
    assert run.newest().epoch == 1 and len(run.results["other"]) > before
    assert run.pipeline.reports()[0]["faults"]["refused"] >= 1, "the faults of the source before are forgotten"


def test_many_changes_at_once_lose_one_or_leave_something_behind(run: Changing) -> None:
    def change(first: int) -> None:
        for number in range(first, first + 10):
            run.pipeline.change_stream("a", max_height=number)

    before = threading.active_count()
    threads = [threading.Thread(target=change, args=(100 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    run.pipeline.change_stream("a", source="testpattern://64x48@25")
    eventually(lambda: run.newest().width == 64)
    eventually(lambda: threading.active_count() == before)


def test_a_change_before_the_run_is_forgotten() -> None:
    widths = []
    with Pipeline(patterns("a", frames=5), assembly=assembly(), on_result=lambda r: widths.append(r.width)) as pipeline:
        pipeline.change_stream("a", source="testpattern://64x48@25?frames=4")
        pipeline.run()
    assert widths == [64] * 4


def test_a_late_frame_is_processed_or_not_counted() -> None:
    """Networks that need 150 ms, a frame every 100 ms that may wait for 40 ms: most of them cannot be looked at."""
    changing = Changing(before=lambda _: time.sleep(0.15))
    changing.pipeline.add_stream(endless("hurried", policy="latest", max_latency_ms=40, fps=10))
    with running(changing.pipeline) as summaries:
        eventually(lambda: changing.pipeline.streams["hurried"].dropped.get("late", 0) > 2)
        (report,) = [report for report in changing.pipeline.reports() if report["id"] == "hurried"]
        assert report["dropped"]["late"] > 2
        changing.pipeline.change_stream("hurried", max_latency_ms=0)
        time.sleep(0.3)
        before = changing.pipeline.streams["hurried"].dropped["late"]
        time.sleep(0.5)
        assert changing.pipeline.streams["hurried"].dropped["late"] == before
    by_id = {stream.stream: stream.dropped for stream in summaries[0].streams}
    assert by_id["hurried"]["late"] == before and "late" not in {**by_id["a"], **by_id["other"]}


@pytest.mark.parametrize(("backlog", "lost"), [(1, True), (12, False)])
def test_a_moment_of_slowness_costs_frames_for_which_there_is_room(backlog: int, lost: bool) -> None:
    seen = itertools.count()

    def slow_once(_: object) -> None:
        time.sleep(0.3 if next(seen) == 5 else 0)

    stream = {"id": "cam", "source": "testpattern://96x64@25?frames=40", "pace": "realtime", "policy": "latest"}
    config = Config.model_validate({"streams": [{**stream, "backlog": backlog}]})
    with Pipeline(config, assembly=assembly(slow_once)) as pipeline:
        summary = pipeline.run()
    assert (summary.dropped > 0) is lost and summary.frames + summary.dropped == 40


def test_a_budget_for_all_takes_frames_from_a_file() -> None:
    config = patterns("film", frames=30, batch={"max_latency_ms": 1})
    with Pipeline(config, assembly=assembly(lambda _: time.sleep(0.01))) as pipeline:
        summary = pipeline.run()
    assert summary.frames == 30 and summary.dropped == 0


def test_the_cap_of_a_feed_costs_its_connection() -> None:
    results: list[FrameResult] = []
    with (
        serving(Mjpeg) as url,
        Pipeline(patterns(**LASTING), assembly=assembly(), on_result=results.append) as pipeline,
        running(pipeline),
    ):
        pipeline.add_stream(StreamConfig(id="cam", source=f"{url}/video.mjpg", fps=10))
        for cap in (2, 0, 10):
            before = len(results)
            eventually(lambda before=before: len(results) > before + 3, within=20)  # type: ignore[misc]
            pipeline.change_stream("cam", fps=cap)
            eventually(lambda cap=cap: pipeline.streams["cam"].info.fps == (cap or 25), within=5)  # type: ignore[misc]
        assert pipeline.streams["cam"].dropped["fps"] > 5
    assert {result.epoch for result in results} == {0}
    assert max(b.seq - a.seq for a, b in itertools.pairwise(results)) < 5, "a cap leaves no gap"


class Flapping(Source):
    """A feed that is lost and comes back, and takes its time until the first picture."""

    def __init__(
        self, config: StreamConfig, decode: DecodeConfig, on_trouble: Callable[[str | None], None], *_: object
    ) -> None:
        super().__init__(config)
        self._pattern = open_source(StreamConfig(id=config.id, source=PATTERN, pace="realtime"), decode)
        self._on_trouble = on_trouble

    @property
    def info(self) -> StreamInfo:
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        for epoch in range(2):
            self._info = replace(self._pattern.info, epoch=epoch)
            for frame in itertools.islice(self._pattern, 5):
                yield replace(frame, epoch=epoch)
            self._on_trouble("the line was cut")
            time.sleep(0.3)
            self._on_trouble(None)
            time.sleep(0.5)
        raise SourceError("gone")


def test_a_feed_that_is_back_is_running_in_its_old_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    report = Publisher.report

    def listen(publisher: Publisher, status: StreamStatus) -> None:
        told.append((status.state, status.epoch))
        report(publisher, status)

    monkeypatch.setattr(Publisher, "report", listen)
    monkeypatch.setattr(stream.reading, "open_source", Flapping)
    with Pipeline(patterns("a", publish={"endpoint": "tcp://127.0.0.1:*"}), assembly=assembly()) as pipeline:
        pipeline.run()
    assert told == [("running", 0), ("reconnecting", 0), ("running", 1), ("reconnecting", 1), ("failed", 1)]


def test_subscribers_are_not_told_of_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, int]] = []
    monkeypatch.setattr(Publisher, "report", lambda _, status: told.append((status.state, status.epoch)) or None)
    pipeline = Pipeline(
        patterns("a", frames=100_000, publish={"endpoint": "tcp://127.0.0.1:*"}, **LASTING), assembly=assembly()
    )
    with running(pipeline):
        eventually(lambda: ("running", 0) in told)
        pipeline.change_stream("a", source="testpattern://64x48@25", pace="realtime")
        eventually(lambda: ("running", 1) in told)
    assert [state for state in told if state[0] == "running"] == [("running", 0), ("running", 1)]
