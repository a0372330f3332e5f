"""A pipeline that watches cameras while a test disturbs them."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stream.assembly import Assembly
from stream.config import Config
from stream.pipeline import Pipeline
from stream.sinks import Sink
from stream.state import StreamState
from stream.summary import RunSummary
from stream.types import FrameResult, StreamInfo
from stream.wire import StreamStatus, Subscriber
from tests.faults.cameras import FPS
from tests.stream.graphs import assembly

WITHIN = 5.0
"""Seconds in which a feed must be back."""


def wait_until(happened: Callable[[], bool], timeout: float, what: str) -> float:
    """Wait for something; returns how many seconds that took."""
    started = time.monotonic()
    while not happened():
        assert time.monotonic() - started < timeout, f"not within {timeout:g} s: {what}"
        time.sleep(0.02)
    return time.monotonic() - started


def children(pid: int | str = "self") -> set[int]:
    """The processes that a process has started and that are not reaped."""
    return {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }


def decoder(parent: int | str, stream: str) -> int:
    """The process that decodes a stream of the program `parent`."""
    for pid in children(parent):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if b"stream.sources.decoder" in command and stream.encode() in command:
            return pid
    raise AssertionError(f"there is no decoder of {stream}")


def keeps_pace(results: Iterable[FrameResult], since: float, until: float) -> None:
    """Assert that the frames of a stream came on between two moments (`time.time`), of one connection.

    How many its camera has sent meanwhile, on a machine that may be busy, the pts tell.
    """
    came = [result for result in results if since <= result.published_at < until]
    sent = round((came[-1].pts - came[0].pts) * FPS) + 1
    assert len(came) >= 0.95 * sent - 1, f"{came[0].stream}: {len(came)} of {sent} frames came"
    times = [since, *(result.published_at for result in came), until]
    assert max(b - a for a, b in itertools.pairwise(times)) < 1.0
    assert len({result.epoch for result in came}) == 1


def is_alive(pid: int) -> bool:
    """Whether a process runs; what nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Listener:
    """A subscriber in a thread of its own, who takes note of the results, of all or of the newest of each stream.

    Args:
        endpoint: of the publisher.
        keep: how many of a stream; None: all.
        options: those of `Subscriber`.
    """

    def __init__(self, endpoint: str, keep: int | None = None, **options: Any) -> None:
        self.results: defaultdict[str, deque[FrameResult]] = defaultdict(lambda: deque(maxlen=keep))
        self.subscriber = Subscriber(endpoint, high_water_mark=10_000, **options)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(15)
        self.subscriber.close()

    def since(self, stream: str, moment: float) -> list[FrameResult]:
        """The results of a stream that were published after `moment` (`time.time`)."""
        return [result for result in list(self.results[stream]) if result.published_at > moment]

    def wait_for(self, stream: str, since: float, within: float = WITHIN) -> float:
        """Wait for a frame that was published after `since`; returns the seconds waited."""
        results = self.results[stream]
        return wait_until(lambda: bool(results) and results[-1].published_at > since, within, f"a frame of {stream}")

    def _listen(self) -> None:
        while not self._over.is_set():
            result = self.subscriber.receive(0.1)
            if result is not None:
                self.results[result.stream].append(result)


class Watch:
    """Runs a pipeline over `streams` (id -> address or options) and takes note of all results.

    The networks are fake ones, if not given; `others` are sections of the configuration.

    Attributes:
        results: stream -> its results.
        statuses: what a subscriber was told, in order.
        infos: stream -> what a subscriber was told last of what it is.
        faults: stream -> how often it was lost, by the kind of fault.
        summary: after it ended.
    """

    def __init__(
        self,
        streams: dict[str, str | dict[str, Any]],
        networks: Assembly | None = None,
        sinks: Sequence[Sink] = (),
        **others: Any,
    ) -> None:
        configs = [
            {"id": id_, "read_timeout": 1.5, "open_timeout": 3.0, **(how if isinstance(how, dict) else {"source": how})}
            for id_, how in streams.items()
        ]
        publish = {"endpoint": "tcp://127.0.0.1:*", **others.get("publish", {})}
        config = Config.model_validate({"streams": configs, **others, "publish": publish})
        self.results: defaultdict[str, list[FrameResult]] = defaultdict(list)
        self.statuses: list[StreamStatus] = []
        self.infos: dict[str, StreamInfo] = {}
        self.faults: dict[str, Counter[str]] = {}
        self.summary: RunSummary | None = None
        self._pipeline = Pipeline(
            config,
            assembly=networks or assembly(),
            sinks=sinks,
            on_result=lambda result: self.results[result.stream].append(result),
        )
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run), threading.Thread(target=self._subscribe)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        with ExitStack() as undo:
            undo.callback(self.__exit__, None, None, None)
            for stream in self._pipeline.streams.values():
                if not stream.config.source.endswith(".invalid/cam"):
                    self.wait_for(stream.config.id, since=0.0, within=15)
                wait_until(lambda s=stream: s.source is not None, 15, "a source")  # type: ignore[misc]
                assert stream.source is not None
                self.faults[stream.config.id] = stream.source.faults
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._over.set()
        self._threads[1].join(15)
        self._pipeline.close()

    def stop(self) -> None:
        """End the run; what has been published stays to be fetched until the `with` block ends."""
        self._pipeline.stop()
        self._threads[0].join(15)

    @property
    def endpoint(self) -> str:
        """Where it publishes."""
        assert self._pipeline.endpoint is not None
        return self._pipeline.endpoint

    @property
    def failures(self) -> tuple[str, ...]:
        """What could not be recorded, until now."""
        return self._pipeline.summary().failures

    def state(self, stream: str) -> StreamState:
        return self._pipeline.streams[stream]

    def wait_for(self, stream: str, since: float, within: float = WITHIN) -> float:
        """Wait for a frame that was published after `since` (`time.time`); returns the seconds waited."""
        return wait_until(lambda: self.last(stream) > since, within, f"a frame of {stream}")

    def wait_for_trouble(self, stream: str, within: float = 10.0) -> str:
        """Wait until a stream is lost; returns the reason."""
        wait_until(lambda: self.state(stream).trouble is not None, within, f"{stream} to be lost")
        return self.state(stream).trouble or ""

    def wait_for_reason(self, stream: str, reason: str) -> None:
        """Wait until a stream is lost for `reason`."""
        wait_until(lambda: reason in (self.state(stream).trouble or ""), 10, f"{stream}: {reason}")

    def wait_for_size(self, stream: str, width: int, height: int) -> None:
        """Wait for a frame of this size."""
        there = (width, height)
        results = self.results[stream]
        wait_until(lambda: (results[-1].width, results[-1].height) == there, WITHIN, f"{stream} in {there}")

    def keeps_pace(self, stream: str, since: float, until: float) -> None:
        """Assert that the frames of a stream came on between two moments (`time.time`); see `keeps_pace`."""
        keeps_pace(self.results[stream], since, until)
        assert self.epochs(stream) == {0}

    def epochs(self, stream: str) -> set[int]:
        """The connections that brought frames."""
        return {result.epoch for result in self.results[stream]}

    def last(self, stream: str) -> float:
        """When the newest frame of a stream was published."""
        return self.results[stream][-1].published_at if self.results[stream] else 0.0

    def statuses_of(self, stream: str, state: str) -> list[StreamStatus]:
        """What a subscriber was told of a stream in this state."""
        return [status for status in self.statuses if (status.stream, status.state) == (stream, state)]

    def decoder(self, stream: str) -> int:
        """The process that decodes a stream."""
        return decoder("self", stream)

    def _run(self) -> None:
        self.summary = self._pipeline.run()

    def _subscribe(self) -> None:
        with Subscriber(self.endpoint) as subscriber:
            while not self._over.is_set():
                subscriber.receive(0.1)
                for status in subscriber.statuses.values():
                    if status not in self.statuses:
                        self.statuses.append(status)
                self.infos.update(subscriber.infos)
