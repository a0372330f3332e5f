"""The whole processor as one object: a configuration in, results out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, get_args

from models.backends import Choice
from models.zoo import Role
from stream.assembly import Assembly, assemble
from stream.attention.attention import Attention, Pace
from stream.attention.budget import PUT_OFF, Budget
from stream.config import Config, StreamConfig
from stream.control import ControlServer
from stream.delivery import Delivery
from stream.graph import DRAIN, TICK, Graph
from stream.metrics import DROPPED, OUT_OF_MEMORY, REMOVED, Metrics
from stream.recording import Recording
from stream.settings import change_options
from stream.sinks import Sink, open_sinks
from stream.state import StreamState
from stream.summary import RunSummary, StreamSummary
from stream.types import FrameResult
from stream.wire import KeyFolder, Publisher, Replay, Security

if TYPE_CHECKING:  # imported when there is a page
    from stream.web import WebServer
    from stream.web.live import Live

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
        stream.wire.SecurityError: keys are missing or unfit, or that address must not be opened without.
        stream.web.AddressError: the page cannot be shown there.
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
            live = self._open_live()
            self._recording = Recording([*open_sinks(config.record), *live, *sinks], self.metrics)
            undo.callback(self._recording.close)
            self.assembly = assembly or assemble(config, self.metrics)
            self._delivery = Delivery(self.assembly.models, self.metrics, self._publisher, on_result)
            self._graph = Graph(
                config,
                Attention(
                    self.assembly.perception,
                    Pace.of(config),
                    config.track,
                    self.metrics,
                    Budget(self.metrics, config.batch.budget_ms / 1e3),
                ),
                self._delivery,
                self._recording,
                self.metrics,
                lasting=config.keeps_running,
            )
            self._control = self._open_control(undo)
            self._web = self._open_web(undo, live)
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
    def control_endpoint(self) -> str | None:
        """Where commands are really taken, or None."""
        return None if self._control is None else self._control.endpoint

    @property
    def url(self) -> str | None:
        """Where the live page is, with the token where one is needed; or None."""
        return None if self._web is None else self._web.url

    @property
    def decodes_in_software(self) -> str | None:
        """Why nothing is decoded on a GPU, in one phrase; None where it is."""
        return self._graph.hardware.absence

    @property
    def choices(self) -> Mapping[str, Choice]:
        """Role, or "role/part" where it has several networks -> how that runs, and why not otherwise."""
        return self.assembly.choices

    @property
    def failed(self) -> bool:
        """Whether a stage failed, so that nothing is processed any more."""
        return self._graph.failed

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """The state of every stream, to look at while it runs."""
        return self._graph.streams

    def reports(self) -> list[dict[str, Any]]:
        """The figures of every stream, as plain values without credentials; `docs/operating.md` explains each."""
        return [state.report() for state in self.streams.values()]

    def add_stream(self, stream: StreamConfig) -> None:
        """Watch one more stream. From any thread; before `run`, it begins with the others.

        Raises:
            StreamError: its id is taken, or the run is over.
        """
        self._graph.roster.add(stream)

    def remove_stream(self, stream: str, timeout: float = DRAIN) -> None:
        """Watch a stream no longer: its frames under way are delivered, its files finished, the rest of it forgotten.

        Returns when that is done. From any thread but those of the pipeline, so not in `on_result`.

        Raises:
            StreamError: there is no such stream, or its source does not end within `timeout` seconds; the stream then
                goes when it does.
        """
        self._graph.roster.remove(stream, timeout)

    def change_stream(self, stream: str, /, **options: object) -> None:
        """Give a stream other options, as they are in a configuration file. From any thread.

        `masks`, `region`, `max_latency_ms`, `budget_ms` and, of a feed, `fps` apply at once. For any other option, the
        source is opened anew: `epoch` goes up by one, ids begin anew, `seq` goes on, and a file starts from its
        beginning. No other stream notices.

        Raises:
            ConfigError: one of the options is wrong; nothing is changed.
            StreamError: there is no such stream, or it is over.
        """
        self._graph.roster.change(stream, lambda config: change_options(config, options))

    def pause(self, stream: str) -> None:
        """Process nothing of a stream until `resume`. From any thread.

        A file that is read as fast as possible stands still. Anything else goes on unseen, and what it shows meanwhile
        is dropped and counted: so a feed stays connected, and nothing has to be caught up afterwards.

        Raises:
            StreamError: there is no such stream.
        """
        self._graph.roster.pause(stream)

    def resume(self, stream: str) -> None:
        """Go on after `pause`. From any thread. Raises `StreamError` where there is no such stream."""
        self._graph.roster.resume(stream)

    def run(self, duration: float | None = None, on_tick: Callable[[], None] | None = None) -> RunSummary:
        """Process until every stream has ended, `duration` seconds are over, or `stop` is called.

        Where streams may be added by others (`control.endpoint`, `web.address`) or `control.keep_running` says so, the
        end of the last stream is no end.

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
            if self._control is not None:
                self._control.start()
            if self._web is not None:
                self._web.start()
            while not self._graph.wait(TICK) and not self._stopping.is_set():
                if duration is not None and time.monotonic() - started >= duration:
                    break
                if on_tick is not None:
                    on_tick()
        finally:
            if self._control is not None:
                self._control.close()
            if self._web is not None:
                self._web.close()
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
            streams=(*map(self._stream_summary, self.streams.values()), *self._removed_summary()),
            latency=metrics.series("latency"),
            stages={name: metrics.series(name) for name in metrics.names() if name != "latency"},
            models=self.assembly.models,
            choices=self.assembly.choices,
            threads=self.assembly.threads,
            recorded=self._recording.paths,
            failures=tuple(self._recording.failures),
            out_of_memory=sum(metrics.counted(OUT_OF_MEMORY + role) for role in get_args(Role)),
        )

    def _stream_summary(self, state: StreamState) -> StreamSummary:
        id_ = state.config.id
        decoder, reason = state.decoder
        return StreamSummary(
            stream=id_,
            frames=state.delivered,
            people=self.metrics.counted("people", id_),
            ids=self._delivery.persons(id_),
            overruns=self.metrics.counted("subscriber overrun", id_),
            dropped=state.dropped,
            error=state.error,
            put_off=_beginning_with(PUT_OFF, self.metrics.counts_of(id_)),
            decoder=decoder,
            decoder_reason=reason,
            fallbacks=state.fallbacks,
        )

    def _removed_summary(self) -> list[StreamSummary]:
        """The streams that were removed, together; so that the sums of the run stay true."""
        counts = self.metrics.counts_of(REMOVED)
        if not counts:
            return []
        return [
            StreamSummary(
                stream=REMOVED,
                frames=counts.get("frames", 0),
                people=counts.get("people", 0),
                ids=counts.get("persons", 0),
                overruns=counts.get("subscriber overrun", 0),
                dropped=_beginning_with(DROPPED, counts),
                put_off=_beginning_with(PUT_OFF, counts),
            )
        ]

    def _open_publisher(self, undo: ExitStack) -> Publisher | None:
        publish = self._config.publish
        if publish.endpoint is None:
            return None
        replay = Replay(publish.replay_mib << 20, publish.replay_seconds, publish.replay_port)
        return undo.enter_context(
            Publisher(
                publish.endpoint,
                high_water_mark=publish.high_water_mark,
                security=self._security(),
                replay=replay if publish.replay_mib else None,
            )
        )

    def _open_control(self, undo: ExitStack) -> ControlServer | None:
        endpoint = self._config.control.endpoint
        if endpoint is None:
            return None
        return undo.enter_context(ControlServer(endpoint, self, self._security()))

    def _open_live(self) -> list[Live]:
        if self._config.web.address is None:
            return []
        from stream.web.live import Live

        return [Live()]

    def _open_web(self, undo: ExitStack, live: Sequence[Live]) -> WebServer | None:
        web = self._config.web
        if web.address is None:
            return None
        from stream.web import WebServer

        return undo.enter_context(WebServer(web.address, self, live[0], web.fps))

    def _security(self) -> Security:
        keys, insecure = self._config.security.keys, self._config.security.insecure
        return Security(None if keys is None else KeyFolder(keys), insecure)


def _beginning_with(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    """The counters whose names begin so, by the rest of their names."""
    return {what.removeprefix(prefix): n for what, n in counts.items() if what.startswith(prefix)}
