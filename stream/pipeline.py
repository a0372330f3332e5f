"""The whole processor as one object: a configuration in, results out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from stream.assembly import Assembly, assemble
from stream.config import Config
from stream.delivery import Delivery
from stream.graph import TICK, Graph, StreamState
from stream.metrics import Metrics
from stream.recording import Recording
from stream.sinks import Sink, open_sinks
from stream.summary import RunSummary, StreamSummary
from stream.types import FrameResult
from stream.wire import Publisher

log = logging.getLogger(__name__)


class Pipeline:
    """A configured processor, to be used as a context manager; `run` it once.

    Example:
        with Pipeline(load_config(sources=["lobby.mp4"]), on_result=print) as pipeline:
            summary = pipeline.run()

    Args:
        config: what to do.
        on_result: called in a thread of the pipeline with every `FrameResult`, in the order of each stream; it must be
            quick, or it slows the pipeline down.
        sinks: more recorders, beside those of `config.record`.
        assembly: networks that are ready, instead of those that `config` names.
        metrics: where figures go, instead of a `Metrics` of its own.

    Raises:
        models.errors.WeightsError: weights are missing and cannot be fetched.
        models.errors.UnknownModelError: the zoo has no such model.
        stream.wire.EndpointError: results cannot be published at that address.
        stream.sinks.SinkError: the recordings cannot be written there.
    """

    def __init__(
        self,
        config: Config,
        *,
        on_result: Callable[[FrameResult], None] | None = None,
        sinks: Sequence[Sink] = (),
        assembly: Assembly | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.metrics = metrics or Metrics()
        self._config = config
        self._stopping = threading.Event()
        self._resources = ExitStack()
        with ExitStack() as undo:  # what is open already is given back when the next thing fails
            self._publisher = self._open_publisher(undo)
            self._recording = Recording([*open_sinks(config.record), *sinks], self.metrics)
            undo.callback(self._recording.close)
            self.assembly = assembly or assemble(config, self.metrics)
            self._delivery = Delivery(config.track, self.assembly.models, self.metrics, self._publisher, on_result)
            self._graph = Graph(config, self.assembly.workers, self._delivery, self._recording, self.metrics)
            self._resources = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> str | None:
        """Where results are really published, or None."""
        return None if self._publisher is None else self._publisher.endpoint

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """The state of every stream, to look at while it runs."""
        return self._graph.streams

    def run(self, duration: float | None = None, on_tick: Callable[[], None] | None = None) -> RunSummary:
        """Process until every stream has ended, `duration` seconds are over, or `stop` is called.

        Args:
            duration: seconds; None for as long as the streams last.
            on_tick: called in the caller's thread some ten times a second, to show progress.

        Raises:
            TimeoutError: the subscribers that `publish.wait_subscribers` asks for did not come.
            Exception: whatever made a stage fail; what was recorded until then is finished first.
        """
        if self._publisher is not None and self._config.publish.wait_subscribers:
            self._publisher.wait_for_subscribers(
                [stream.id for stream in self._config.streams],
                self._config.publish.wait_subscribers,
                self._config.publish.wait_seconds,
            )
        started = time.monotonic()
        self._graph.start()
        try:
            while not self._graph.wait(TICK) and not self._stopping.is_set():
                if duration is not None and time.monotonic() - started >= duration:
                    break
                if on_tick is not None:
                    on_tick()
        finally:
            try:
                self._graph.join()
            finally:
                self._recording.close()
        return self.summary()

    def stop(self) -> None:
        """End `run` soon: no further frame is read, those under way are still delivered. From any thread."""
        self._stopping.set()

    def close(self) -> None:
        """Finish every recording and free the address."""
        self._resources.close()

    def summary(self) -> RunSummary:
        """The figures until now."""
        metrics = self.metrics
        return RunSummary(
            seconds=self._graph.seconds(),
            streams=tuple(self._stream_summary(state) for state in self._graph.streams.values()),
            latency=metrics.series("latency"),
            stages={name: metrics.series(name) for name in metrics.names() if name != "latency"},
            models=self.assembly.models,
            choices=self.assembly.choices,
            threads=self.assembly.threads,
            recorded=self._recording.paths,
            failures=tuple(self._recording.failures),
        )

    def _stream_summary(self, state: StreamState) -> StreamSummary:
        id_ = state.config.id
        dropped = {
            **state.skipped,
            "newer frame came": state.inbox.dropped,
            "recorder too slow": self.metrics.counted("dropped: recorder too slow", id_),
        }
        return StreamSummary(
            stream=id_,
            frames=state.delivered,
            people=self.metrics.counted("people", id_),
            ids=self._delivery.persons(id_),
            overruns=self.metrics.counted("subscriber overrun", id_),
            dropped={reason: frames for reason, frames in dropped.items() if frames},
            error=state.error,
        )

    def _open_publisher(self, undo: ExitStack) -> Publisher | None:
        publish = self._config.publish
        if publish.endpoint is None:
            return None
        return undo.enter_context(Publisher(publish.endpoint, high_water_mark=publish.high_water_mark))
