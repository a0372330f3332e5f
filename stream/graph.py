"""The running graph: the one place that starts, stops, joins and supervises threads.

    a reader per stream -> inbox -> batcher -> perceive -> in order -> deliver -> record

Every arrow is bounded. What a full arrow does is the policy of the stream: a file waits for room (`every`), so that
none of its frames is lost; a live stream drops its oldest frame (`latest`) and counts it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.batching import Batcher, Inbox, Waiting
from stream.config import Config, StreamConfig
from stream.delivery import Delivery
from stream.metrics import Metrics
from stream.ordering import InOrder
from stream.perception import Perception
from stream.recording import Recording
from stream.sources import Source, SourceError, open_source
from stream.types import FrameResult, Image, People, StreamInfo

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds after which every wait looks whether the graph is stopping."""

DRAIN = 10.0
"""Seconds that a stop gives the frames under way before it gives them up."""

AHEAD = 4
"""How many finished batches may wait for delivery, and how many results for the recorder."""

PATIENCE = 5.0
"""Seconds that a file, whose policy is to lose nothing, waits for a subscriber whose queue is full."""


class Perceived(NamedTuple):
    """A frame and the people in it."""

    waiting: Waiting
    people: People


Recordable = StreamInfo | tuple[FrameResult, Image]


@dataclass(slots=True)
class StreamState:
    """What the graph knows of one stream.

    Attributes:
        live: whether its frames come when they like; a file's wait until there is room.
        info: what its source says of itself; announced: what the subscribers and sinks have been told of that.
        taken: frames that came from the source; delivered: those of them that went out.
        reading: whether its reader still runs; ended: whether its end has been announced.
        source: while it is read.
        skipped: pictures that the source did not turn into frames, by reason.
        error: why it ended before its time.
    """

    config: StreamConfig
    live: bool
    inbox: Inbox
    info: StreamInfo | None = None
    announced: StreamInfo | None = None
    taken: int = 0
    delivered: int = 0
    reading: bool = True
    ended: bool = False
    source: Source | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    error: str | None = None

    def drained(self) -> bool:
        """Whether everything it will ever deliver has been delivered."""
        return not self.reading and self.delivered + self.inbox.dropped >= self.taken


class Graph:
    """The threads of one run. `start`, then `wait` and `stop` from any thread, then `join`."""

    def __init__(
        self,
        config: Config,
        workers: Sequence[Perception],
        delivery: Delivery,
        recording: Recording,
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._delivery = delivery
        self._recording = recording
        self._metrics = metrics
        self._batcher = Batcher(config.batch.size, config.batch.deadline_ms / 1e3)
        self._turn = threading.Lock()
        self._perceived: InOrder[list[Perceived]] = InOrder(AHEAD)
        self._to_record: queue.Queue[Recordable] = queue.Queue(AHEAD)
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._first: float | None = None
        self._last = 0.0
        self.streams = {stream.id: self._open(stream) for stream in config.streams}
        self._readers = [self._thread(f"read {id_}", self._read, state) for id_, state in self.streams.items()]
        self._workers = [self._thread(f"perceive {i}", self._perceive, worker) for i, worker in enumerate(workers)]
        self._deliverer = self._thread("deliver", self._deliver)
        self._recorder = self._thread("record", self._record)
        self._threads = [*self._readers, *self._workers, self._deliverer, self._recorder]

    def start(self) -> None:
        """Start every thread."""
        for thread in self._threads:  # in the order of the graph: each stage ends when the one before it has ended
            thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until everything is delivered and recorded, for at most `timeout` seconds; True when it is."""
        self._recorder.join(timeout)
        return not self._recorder.is_alive()

    def stop(self) -> None:
        """Read no further frames; those under way are still delivered."""
        self._stopping.set()
        for state in self.streams.values():
            if state.source is not None:
                state.source.stop()

    def join(self) -> None:
        """Stop, drain for at most `DRAIN` seconds, then give up what is left and end every thread.

        Raises:
            Exception: the first failure of a worker, of delivery or of recording.
        """
        self.stop()
        if not self.wait(DRAIN):
            log.warning("frames under way were given up: they took longer than %.0f s to drain", DRAIN)
            self._abandoned.set()
            for state in self.streams.values():
                state.inbox.discard()
        for thread in self._threads:
            thread.join(DRAIN)
            if thread.is_alive():
                log.error("the thread '%s' did not end within %.0f s and is left behind", thread.name, DRAIN)
        if not self._failures.empty():
            raise self._failures.get()

    def seconds(self) -> float:
        """From the first decoded frame to the last delivered one."""
        return 0.0 if self._first is None else self._last - self._first

    def _open(self, stream: StreamConfig) -> StreamState:
        if stream.is_live:
            return StreamState(stream, live=True, inbox=self._batcher.open(1, "latest"))
        return StreamState(stream, live=False, inbox=self._batcher.open(self._config.decode.queue, "every"))

    def _thread(self, name: str, target: Callable[..., None], *args: object) -> threading.Thread:
        def supervised() -> None:
            try:
                target(*args)
            except Exception as error:  # whatever it is, the others must be stopped and the caller told
                log.debug("the thread '%s' failed", name, exc_info=True)
                self._failures.put(error)
                self._stopping.set()
                self._abandoned.set()

        return threading.Thread(target=supervised, name=name, daemon=True)

    def _read(self, state: StreamState) -> None:
        """One stream's reader: a source that fails ends its own stream and no other."""
        try:
            with open_source(state.config, self._config.decode) as source:
                state.source, state.skipped = source, source.dropped
                self._pump(source, state)
        except SourceError as error:
            state.error = str(error)
            log.error("%s", error)
        finally:
            state.inbox.close()
            state.reading = False

    def _pump(self, source: Source, state: StreamState) -> None:
        for frame in source:
            state.info = source.info
            if self._stopping.is_set():
                return
            while not state.inbox.put(frame, TICK):
                if self._stopping.is_set():
                    return
            state.taken += 1

    def _perceive(self, perception: Perception) -> None:
        while not self._abandoned.is_set():
            with self._turn:  # one worker collects at a time, so that tickets follow the order of the frames
                batch = self._batcher.next(TICK)
                if not batch:
                    if batch is None:
                        return
                    continue
                ticket = self._perceived.ticket()
            masks = [self.streams[waiting.frame.stream].config.masks for waiting in batch]
            with self._metrics.timed("perceive"):
                people = perception([waiting.frame.image for waiting in batch], masks)
            done = [Perceived(*pair) for pair in zip(batch, people, strict=True)]
            while not self._perceived.put(ticket, done, TICK) and not self._abandoned.is_set():
                pass

    def _deliver(self) -> None:
        while not self._abandoned.is_set():
            working = any(thread.is_alive() for thread in self._workers)
            batch = self._perceived.get(TICK if working else 0)
            for waiting, people in batch or ():
                self._deliver_one(self.streams[waiting.frame.stream], waiting, people)
            self._delivery.serve()
            self._announce_ends()
            if not working and self._perceived.empty():
                return

    def _deliver_one(self, state: StreamState, waiting: Waiting, people: People) -> None:
        if state.info is not None and state.info is not state.announced:
            state.announced = state.info
            self._hand_to_recorder(self._delivery.announce(state.info), waits=True)
        result = self._delivery.deliver(waiting, people, patience=0 if state.live else PATIENCE)
        state.delivered += 1
        self._first = waiting.since if self._first is None else self._first
        self._last = time.monotonic()
        if not self._hand_to_recorder((result, waiting.frame.image), waits=not state.live):
            self._metrics.count("dropped: recorder too slow", result.stream)

    def _hand_to_recorder(self, item: Recordable, *, waits: bool) -> bool:
        while not self._abandoned.is_set():
            try:
                self._to_record.put(item, timeout=TICK if waits else 0)
            except queue.Full:
                if not waits:
                    return False
            else:
                return True
        return False

    def _announce_ends(self) -> None:
        for id_, state in self.streams.items():
            if not state.ended and state.drained():
                state.ended = True
                self._delivery.end(id_, state.info.epoch if state.info else 0, state.error)

    def _record(self) -> None:
        while True:
            try:
                item = self._to_record.get(timeout=TICK)
            except queue.Empty:
                if self._abandoned.is_set() or not self._deliverer.is_alive():
                    return
                continue
            if isinstance(item, StreamInfo):
                self._recording.start(item)
            else:
                with self._metrics.timed("record"):
                    self._recording.write(*item)
