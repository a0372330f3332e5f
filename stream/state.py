"""What the graph knows of one stream, and what it tells of it to people and programs."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from stream.batching import Inbox
from stream.config import StreamConfig
from stream.metrics import Latencies, Meter
from stream.sources import Source
from stream.types import StreamInfo
from stream.uri import redact

Health = Literal["opening", "running", "reconnecting", "paused", "ended", "failed"]
"""How a stream is doing: it has not delivered yet, it delivers, its feed is lost, somebody paused it, its file is over,
it was given up."""


@dataclass(slots=True, eq=False)
class StreamState:
    """What the graph knows of one stream.

    Attributes:
        live: whether its frames come when they like; a file's wait until there is room.
        info: what its source says of itself; announced: what the subscribers and sinks have been told of that.
        taken: frames that came from the source; delivered: those of them that went out.
        people: in the newest of those.
        reading: whether its reader still runs; ended: whether its end has been announced.
        source: while it is read.
        skipped: pictures that the source did not turn into frames, by reason.
        unrecorded: frames that were delivered and came too fast for the recorder.
        trouble: why a feed is not connected now, while its source tries again.
        error: why it ended before its time.
        paused: whether somebody asked for a pause.
        told_paused, told_trouble: what subscribers have been told of these two.
        stopping: tells the reader to end; leaving: whether the stream is to be forgotten then; gone: when it is.
    """

    config: StreamConfig
    live: bool
    inbox: Inbox
    info: StreamInfo | None = None
    announced: StreamInfo | None = None
    taken: int = 0
    delivered: int = 0
    people: int = 0
    reading: bool = True
    ended: bool = False
    source: Source | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    unrecorded: int = 0
    trouble: str | None = None
    error: str | None = None
    paused: bool = False
    told_paused: bool = False
    told_trouble: str | None = None
    reader: threading.Thread | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    leaving: bool = False
    gone: threading.Event = field(default_factory=threading.Event)
    latencies: Latencies = field(default_factory=Latencies)
    fps_in: Meter = field(default_factory=Meter)
    fps_out: Meter = field(default_factory=Meter)

    @property
    def epoch(self) -> int:
        """The connection that the newest frame came from."""
        return self.info.epoch if self.info else 0

    @property
    def health(self) -> Health:
        """How it is doing now."""
        if self.drained():
            return "failed" if self.error else "ended"
        if self.paused:
            return "paused"
        if self.trouble:
            return "reconnecting"
        return "running" if self.delivered else "opening"

    @property
    def dropped(self) -> dict[str, int]:
        """Pictures that were not delivered or not recorded, by reason."""
        reasons = {**self.skipped, **self.inbox.drops, "recorder too slow": self.unrecorded}
        return {reason: frames for reason, frames in reasons.items() if frames}

    @property
    def reconnects(self) -> int:
        """How often a feed was connected again."""
        return self.epoch if self.live else 0

    def drained(self) -> bool:
        """Whether everything it will ever deliver has been delivered."""
        return not self.reading and self.delivered + self.inbox.dropped >= self.taken

    def pause(self) -> None:
        """Let no frame in: a file that is read as fast as possible stands still, anything else goes on unseen."""
        self.paused = True
        if self.live or self.config.pace == "realtime":  # one that stood still would have to catch up afterwards
            self.inbox.drop("paused")
        else:
            self.inbox.hold()

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        self.inbox.resume()

    def stop(self) -> None:
        """Tell the reader to end. A frame that it has in its hands is given up."""
        self.stopping.set()
        source = self.source
        if source is not None:
            source.stop()

    def measure(self, now: float) -> None:
        """Look at the counters, to know how fast they rise; `now` in seconds of a monotonic clock."""
        self.fps_in.look(self.taken, now)
        self.fps_out.look(self.delivered, now)

    def report(self) -> dict[str, Any]:
        """The figures of now, as plain values without credentials; `docs/operating.md` explains each."""
        p50, p95 = self.latencies.percentiles_ms()
        info = self.info
        return {
            "id": self.config.id,
            "source": redact(self.config.source),
            "live": self.live,
            "state": self.health,
            "reason": self.error or self.trouble or "",
            "width": info.width if info else 0,
            "height": info.height if info else 0,
            "fps_in": round(self.fps_in.rate, 2),
            "fps_out": round(self.fps_out.rate, 2),
            "latency_ms": {"p50": round(p50, 1), "p95": round(p95, 1)},
            "frames": self.delivered,
            "people": self.people,
            "queue": len(self.inbox),
            "dropped": self.dropped,
            "reconnects": self.reconnects,
        }
