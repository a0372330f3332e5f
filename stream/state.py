"""What the graph knows of one stream, and what it tells of it to people and programs."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from stream.batching import Inbox, Terms
from stream.config import StreamConfig
from stream.errors import StreamError
from stream.metrics import Latencies, Meter
from stream.sources.source import Source
from stream.types import StreamInfo
from stream.uri import redact

Health = Literal["opening", "running", "reconnecting", "paused", "ended", "failed"]
"""How a stream is doing: it has not delivered yet, it delivers, its feed is lost, somebody paused it, its file is over,
it was given up."""

REASONS = (
    "newer frame came", "late", "paused", "removed", "given up", "recorder too slow",
    "fps", "damaged", "unreadable", "busy",
)  # fmt: skip
"""Why pictures are dropped: before they are processed, after that, and, in the second line, by the source."""

AT_ONCE = frozenset({"masks", "region", "max_latency_ms", "budget_ms"})
"""Options whose change does not touch the source; so does `fps` of a feed. For any other it is opened anew."""


@dataclass(slots=True, eq=False)
class StreamState:
    """What the graph knows of one stream.

    Attributes:
        config: its options, as they are now.
        info: what its source says of itself; announced: what the subscribers and sinks have been told of that; lost:
            what it said last of a connection that is over.
        taken: frames that came from the source; delivered: those of them that went out.
        people: in the newest of those.
        reading: whether its reader still runs; ended: whether its end has been announced.
        source: the last that was opened.
        skipped: pictures that the sources before it did not turn into frames, by reason; faults: how often these lost
            their connection, by kind; unaided: how often they were decoded without the GPU that was to do it.
        unrecorded: frames that were delivered and came too fast for the recorder.
        trouble: why nothing comes now, while a feed's source tries again or another one is opened.
        error: why it ended before its time.
        paused: whether somebody asked for a pause.
        told_paused, told_trouble: what subscribers have been told of these two.
        stopping: tells the reader to end; leaving: whether the stream is to be forgotten then; gone: when it is.
    """

    config: StreamConfig
    inbox: Inbox
    info: StreamInfo | None = None
    announced: StreamInfo | None = None
    lost: StreamInfo | None = None
    taken: int = 0
    delivered: int = 0
    people: int = 0
    reading: bool = True
    ended: bool = False
    source: Source | None = None
    skipped: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    unaided: Counter[str] = field(default_factory=Counter)
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
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _to_open: bool = True

    @property
    def live(self) -> bool:
        """Whether its frames come when they like."""
        return self.config.is_live

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
        with self._changing:
            skipped = self.skipped + Counter(dict(self.source.dropped)) if self.source else self.skipped
        reasons = {**skipped, **self.inbox.drops, "recorder too slow": self.unrecorded}
        return {reason: frames for reason, frames in reasons.items() if frames}

    @property
    def disconnections(self) -> dict[str, int]:
        """How often a feed was lost or could not be connected to, by the kind of fault."""
        with self._changing:
            return dict(self.faults + Counter(dict(self.source.faults)) if self.source else self.faults)

    @property
    def decoder(self) -> tuple[str, str]:
        """What decodes its video, "nvdec" or "software", and why it is software; "" where nothing is known."""
        source = self.source
        return ("", "") if source is None else (source.decoding.decoder, source.decoding.reason)

    @property
    def fallbacks(self) -> dict[str, int]:
        """How often it was decoded in software although the GPU was to do it, by the kind of reason."""
        with self._changing:
            return dict(self.unaided + self.source.decoding.fallbacks if self.source else self.unaided)

    @property
    def wanted(self) -> bool:
        """Whether its source is to be read on."""
        return not (self._to_open or self.stopping.is_set())

    @property
    def reconnects(self) -> int:
        """How often a feed was connected again."""
        return self.epoch if self.live else 0

    def drained(self) -> bool:
        """Whether everything it will ever deliver has been delivered."""
        return not self.reading and self.delivered + self.inbox.dropped >= self.taken

    def opens(self) -> bool:
        """Whether a source is to be opened, the first or another one; once not, nothing can be changed any more."""
        with self._changing:
            self.reading = self._to_open and not self.stopping.is_set()
            self._to_open = False
            if self.reading and self.source is not None:
                self.lose(f"{self.config.id}: was changed, and nothing has come since")
            return self.reading

    def opened(self, source: Source) -> bool:
        """Take note of a source; returns whether it is to be read, as it may be out of date already."""
        with self._changing:
            if self.source is not None:
                self.skipped += self.source.dropped
                self.faults += self.source.faults
                self.unaided += self.source.decoding.fallbacks
            self.source = source
            if self.live:
                source.cap(self.config.fps)  # it may have been changed meanwhile
            return self.wanted

    def lose(self, reason: str | None) -> None:
        """Take note of why nothing comes any more, or, with None, that something will."""
        if reason is not None:
            self.lost = self.info
        self.trouble = reason

    def change(self, config: StreamConfig, terms: Terms) -> None:
        """Go by other options: at once where the source has no part in them, else by a source that is opened anew.

        Raises:
            StreamError: it is over.
        """
        with self._changing:
            if not self.reading:
                raise StreamError(f"{config.id}: is over and cannot be changed; remove it and add it anew")
            before, self.config = self.config, config
            changed = {name for name in StreamConfig.model_fields if getattr(before, name) != getattr(config, name)}
            self.inbox.adopt(terms)
            if self.paused:
                self._let_nothing_in()
            self._to_open = self._to_open or not changed <= (AT_ONCE | {"fps"} if self.live else AT_ONCE)
            source = self.source
            if source is not None and not self._to_open:
                source.cap(config.fps)
        if self._to_open and source is not None:
            source.stop()

    def pause(self) -> None:
        """Let no frame in: a file that is read as fast as possible stands still, anything else goes on unseen."""
        self.paused = True
        self._let_nothing_in()

    def _let_nothing_in(self) -> None:
        self.inbox.resume()
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
        info, health = self.info, self.health
        decoder, reason = self.decoder
        return {
            "id": self.config.id,
            "source": redact(self.config.source),
            "live": self.live,
            "state": health,
            "reason": (self.error or self.trouble or "") if health in ("reconnecting", "failed") else "",
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
            "faults": self.disconnections,
            "decoder": decoder,
            "decoder_reason": reason,
            "fallbacks": self.fallbacks,
        }
