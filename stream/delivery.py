"""From people to subscribers: the publisher, then whoever listens in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from stream.batching import Waiting
from stream.metrics import Metrics
from stream.types import FrameResult, People, StreamInfo
from stream.wire import Publisher, StreamStatus


@dataclass(slots=True)
class _Known:
    """What delivery remembers of one connection of a stream: how far it has come."""

    epoch: int
    next_seq: int = 0
    newest_id: int = 0


class Delivery:
    """Publishes the results of all streams; used by one thread.

    Args:
        models: role -> name in the zoo, told to the subscribers.
        metrics: where times and counts go.
        publisher: sends to other processes, or None.
        on_result: called with every result, or None.
    """

    def __init__(
        self,
        models: Mapping[str, str],
        metrics: Metrics,
        publisher: Publisher | None = None,
        on_result: Callable[[FrameResult], None] | None = None,
    ) -> None:
        self._models = dict(models)
        self._metrics = metrics
        self._publisher = publisher
        self._on_result = on_result
        self._streams: dict[str, _Known] = {}

    def announce(self, info: StreamInfo) -> StreamInfo:
        """Tell the subscribers what a stream is; returns what they were told."""
        info = replace(info, models=self._models)
        if self._publisher is not None:
            self._publisher.announce(info)
            self._publisher.report(StreamStatus(info.stream, info.epoch, "running", self._next_seq(info.stream)))
        return info

    def deliver(self, waiting: Waiting, people: People, patience: float) -> FrameResult:
        """Send the people of one frame out; the frames of a stream come in their order.

        Args:
            waiting: the frame. people: those in it, with their ids.
            patience: seconds to wait for a subscriber whose queue is full.
        """
        frame = waiting.frame
        known = self._known(frame.stream, frame.epoch)
        result = FrameResult(
            stream=frame.stream,
            epoch=frame.epoch,
            seq=frame.seq,
            pts=frame.pts,
            captured_at=frame.captured_at,
            clock=frame.clock,
            published_at=time.time(),
            width=frame.width,
            height=frame.height,
            people=people,
        )
        with self._metrics.timed("publish"):
            self._send(result, patience)
        self._metrics.observe("latency", time.monotonic() - waiting.since)
        known.next_seq = frame.seq + 1
        known.newest_id = max(known.newest_id, *people.ids.tolist(), 0)
        self._metrics.count("frames", frame.stream)
        self._metrics.count("people", frame.stream, len(people))
        return result

    def end(self, stream: str, epoch: int, error: str | None) -> None:
        """Tell the subscribers that no frame will follow."""
        if self._publisher is not None:
            state = "ended" if error is None else "failed"
            self._publisher.report(StreamStatus(stream, epoch, state, self._next_seq(stream), error or ""))

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that was removed; its persons stay in the sum."""
        known = self._streams.pop(stream, None)
        if known is not None:
            self._metrics.count("persons", stream, known.newest_id)
        if self._publisher is not None:
            self._publisher.forget(stream)

    def report(self, stream: str, epoch: int, state: str, reason: str) -> None:
        """Tell the subscribers how a stream is doing."""
        if self._publisher is not None:
            self._publisher.report(StreamStatus(stream, epoch, state, self._next_seq(stream), reason))

    def serve(self) -> None:
        """Answer subscribers that have joined since the last message."""
        if self._publisher is not None:
            self._publisher.serve()

    def persons(self, stream: str) -> int:
        """How many different persons the stream's trackers have shown."""
        return self._metrics.counted("persons", stream) + (
            self._streams[stream].newest_id if stream in self._streams else 0
        )

    def _send(self, result: FrameResult, patience: float) -> None:
        if self._publisher is not None and not self._publisher.send(result, patience=patience):
            self._metrics.count("subscriber overrun", result.stream)
        if self._on_result is not None:
            self._on_result(result)

    def _next_seq(self, stream: str) -> int:
        return self._streams[stream].next_seq if stream in self._streams else 0

    def _known(self, stream: str, epoch: int) -> _Known:
        """The state of this connection: ids begin anew with every epoch."""
        known = self._streams.get(stream)
        if known is None or known.epoch != epoch:
            if known is not None:
                self._metrics.count("persons", stream, known.newest_id)
            known = _Known(epoch, self._next_seq(stream))
            self._streams[stream] = known
        return known
