"""The running graph: the one place that starts, stops, joins and supervises threads.

    a reader per stream -> inbox -> batcher -> perceive -> deliver -> record

Every arrow is bounded. What a full arrow does is the policy of the stream: with `every`, as for files, it waits for
room, so that no frame is lost; with `latest`, as for feeds, the oldest frame is dropped and counted.

Streams come and go while it runs, through its `roster`. One that leaves is forgotten by the threads that deliver and
record, in this order: its reader ends, its last frame is delivered, its end is announced, its files are finished.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stream.attention.attention import Attention
from stream.batching import Batcher, Waiting
from stream.config import Config
from stream.delivery import Delivery
from stream.metrics import DROPPED, Metrics
from stream.reading import Reading
from stream.recording import Recording
from stream.roster import Roster
from stream.runners import own_stream
from stream.sources.nvdec import Hardware
from stream.state import StreamState
from stream.types import AnyImage, FrameResult, People, StreamInfo

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds after which every wait looks whether the graph is stopping."""

DRAIN = 10.0
"""Seconds that a stop gives the frames under way before it gives them up."""

AHEAD = 4
"""How many finished batches may wait for delivery, and how many results for the recorder."""

PATIENCE = 5.0
"""Seconds that files wait for a subscriber whose queue is full, where no other stream is in a hurry."""


class Perceived(NamedTuple):
    """A frame and the people in it."""

    waiting: Waiting
    people: People


Recordable = StreamInfo | StreamState | tuple[FrameResult, AnyImage]
"""What a stream is, a stream that leaves, or a result and its frame."""


class Graph:
    """The threads of one run. `start`, then `wait` and `stop` from any thread, then `join`.

    Args:
        lasting: whether it goes on when no stream is left, for others that may be added, until `stop`.
    """

    def __init__(
        self,
        config: Config,
        attention: Attention,
        delivery: Delivery,
        recording: Recording,
        metrics: Metrics,
        *,
        lasting: bool = False,
    ) -> None:
        self._config = config
        self.hardware = Hardware(config.decode)
        self._delivery = delivery
        self._recording = recording
        self._metrics = metrics
        self._batcher = Batcher(config.batch.size, config.batch.deadline_ms / 1e3, lasting=lasting)
        self.roster = Roster(self._batcher, config, self._start_reader)
        self._attention = attention
        self._perceived: queue.Queue[list[Perceived]] = queue.Queue(AHEAD)
        self._to_record: queue.Queue[Recordable] = queue.Queue(AHEAD)
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._failures: queue.SimpleQueue[BaseException] = queue.SimpleQueue()
        self._first: float | None = None
        self._last = 0.0
        for stream in config.streams:
            self.roster.add(stream)
        self._perceiver = self._thread("perceive", self._perceive_apart)
        self._deliverer = self._thread("deliver", self._deliver)
        self._recorder = self._thread("record", self._record)
        self._threads = [self._perceiver, self._deliverer, self._recorder]

    def start(self) -> None:
        """Start every thread."""
        self.roster.start()
        for thread in self._threads:  # in the order of the graph: each stage ends when the one before it has ended
            thread.start()

    def wait(self, timeout: float) -> bool:
        """Wait until everything is delivered and recorded, for at most `timeout` seconds; True when it is."""
        self._recorder.join(timeout)
        return not self._recorder.is_alive()

    def stop(self) -> None:
        """Read no further frames; those under way are still delivered."""
        self.roster.stop()

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
        readers = [state.reader for state in self.streams.values() if state.reader is not None]
        for thread in (*readers, *self._threads):
            thread.join(DRAIN)
            if thread.is_alive():
                log.error("the thread '%s' did not end within %.0f s and is left behind", thread.name, DRAIN)
        if not self._failures.empty():
            raise self._failures.get()

    def seconds(self) -> float:
        """From the first decoded frame to the last delivered one."""
        return 0.0 if self._first is None else self._last - self._first

    @property
    def failed(self) -> bool:
        """Whether a stage failed, so that the run is over."""
        return self._abandoned.is_set()

    @property
    def streams(self) -> Mapping[str, StreamState]:
        """Every stream that is watched now."""
        return self.roster.streams

    def _start_reader(self, state: StreamState) -> threading.Thread:
        reader = self._thread(f"read {state.config.id}", Reading(state, self._config.decode, self.hardware).run)
        reader.start()
        return reader

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

    def _perceive_apart(self) -> None:
        with own_stream():
            self._perceive()

    def _perceive(self) -> None:
        while not self._abandoned.is_set():
            batch = self._batcher.next(TICK)
            if batch is None:
                return
            if not batch:
                continue
            self._metrics.count("batches")
            self._metrics.count("batched frames", by=len(batch))
            frames = [waiting.frame for waiting in batch]
            with self._metrics.timed("perceive"):
                people = self._attention(frames, {frame.stream: self.streams[frame.stream].config for frame in frames})
            self._hand_over([Perceived(*pair) for pair in zip(batch, people, strict=True)])

    def _hand_over(self, perceived: list[Perceived]) -> None:
        while not self._abandoned.is_set():
            try:
                self._perceived.put(perceived, timeout=TICK)
            except queue.Full:
                continue
            return

    def _deliver(self) -> None:
        while not self._abandoned.is_set():
            working = self._perceiver.is_alive()
            try:
                batch = self._perceived.get(timeout=TICK) if working else self._perceived.get_nowait()
            except queue.Empty:
                batch = []
            for waiting, people in batch:
                self._deliver_one(self.streams[waiting.frame.stream], waiting, people)
            self._delivery.serve()
            self._look_after_streams()
            if not working and self._perceived.empty():
                return

    def _deliver_one(self, state: StreamState, waiting: Waiting, people: People) -> None:
        if state.info is not None and state.info is not state.announced:
            state.announced = state.info
            state.told_paused, state.told_trouble = False, None  # subscribers are told that it is running
            self._hand_to_recorder(self._delivery.announce(state.info), waits=True)
        hurried = any(other.config.drops for other in self.streams.values())  # they would wait, too
        result = self._delivery.deliver(waiting, people, patience=0 if hurried else PATIENCE)
        state.latencies.observe(_latency(result, waiting))
        state.people = len(result.people)
        state.delivered += 1
        self._first = waiting.since if self._first is None else self._first
        self._last = time.monotonic()
        if not self._hand_to_recorder((result, waiting.frame.image), waits=not state.config.drops):
            state.unrecorded += 1

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

    def _look_after_streams(self) -> None:
        now = time.monotonic()
        for id_, state in self.streams.items():
            state.measure(now)
            if not state.ended:
                self._tell(state)
            if not state.ended and state.drained():
                state.ended = True
                self._delivery.end(id_, state.epoch, state.error)
            if state.ended and state.leaving:
                self._forget(state)

    def _tell(self, state: StreamState) -> None:
        """Tell subscribers of a pause and of a lost feed, when they begin and when they end.

        That a connection is running is told when its first frame is: until then, its epoch is not known.
        """
        info, paused, trouble = state.info, state.paused, state.trouble
        if (paused, trouble) == (state.told_paused, state.told_trouble):
            return
        doing = "paused" if paused else "reconnecting" if trouble else "running"
        reason = trouble or "" if doing == "reconnecting" else ""
        if doing == "running" and (info is not state.announced or info is state.lost):
            return
        state.told_paused, state.told_trouble = paused, trouble
        self._delivery.report(state.config.id, info.epoch if info else 0, doing, reason)

    def _forget(self, state: StreamState) -> None:
        """Keep nothing of a stream that has left but its part in the sums."""
        id_ = state.config.id
        if state.reader is not None:
            state.reader.join(DRAIN)  # it has said that it is done, so this takes no time
        self._attention.forget(id_)
        self._delivery.forget(id_)
        for reason, frames in state.dropped.items():
            self._metrics.count(DROPPED + reason, id_, frames)
        self._metrics.forget(id_)
        self.roster.drop(state)
        self._hand_to_recorder(state, waits=True)

    def _record(self) -> None:
        while True:
            working = self._deliverer.is_alive() and not self._abandoned.is_set()
            try:
                item = self._to_record.get(timeout=TICK) if working else self._to_record.get_nowait()
            except queue.Empty:
                if not working:
                    return
                continue
            if isinstance(item, StreamInfo):
                self._recording.start(item)
            elif isinstance(item, StreamState):
                self._recording.finish(item.config.id)
                item.gone.set()
            else:
                with self._metrics.timed("record"):
                    self._recording.write(*item)


def _latency(result: FrameResult, waiting: Waiting) -> float:
    """Seconds from capture to publication; for a file, whose capture is no moment of now, from its decoded frame."""
    if result.clock == "file":
        return time.monotonic() - waiting.since
    return result.published_at - result.captured_at
