"""What a subscriber has received, in order: what is missing, what was fetched again, what is lost. No sockets here."""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass, replace

from stream.types import FrameResult, StreamInfo
from stream.wire._answers import NO_END, Answer, Request
from stream.wire.schema import SchemaError, StreamStatus, VersionError, unpack

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Course:
    """How far one stream has come.

    Attributes:
        run: the publisher's counting that the numbers belong to, "" where unknown.
        epoch: of the last frame.
        next: `seq` that comes next; None before the first frame, as what came before that is not ours.
        heard: highest `seq` that was sent to us. ZeroMQ keeps the order, so a lower one means that counting began anew;
            one between `heard` and `next` was fetched already.
    """

    run: str = ""
    epoch: int = 0
    next: int | None = None
    heard: int = -1

    def restart(self, run: str) -> None:
        """Count from 0 again."""
        self.run, self.epoch, self.heard = run, 0, -1
        self.next = None if self.next is None else 0


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that are missing, and the message that showed it, which waits until they are here or given up."""

    request: Request
    then: FrameResult | StreamStatus | None = None
    restarted: bool = False


class Reception:
    """Takes messages, hands out frames.

    Args:
        streams: ids to take, None for all. recover: keep gaps to be filled, instead of counting them as lost.
        source: what to call the publisher in the log.

    Attributes:
        ready: frames to hand out, in order.
        gaps: what is to be fetched before any other message is taken.
    """

    def __init__(self, streams: frozenset[str] | None, recover: bool, source: str) -> None:
        self.infos: dict[str, StreamInfo] = {}
        self.statuses: dict[str, StreamStatus] = {}
        self.lost: Counter[str] = Counter()
        self.recovered: Counter[str] = Counter()
        self.malformed = 0
        self.ready: deque[FrameResult] = deque()
        self.gaps: deque[Gap] = deque()
        self._streams = streams
        self._recover = recover
        self._source = source
        self._courses: dict[str, _Course] = {}

    @property
    def ended(self) -> bool:
        """Whether every stream asked for has ended; where all are asked for, every stream heard of, at least one."""
        streams = self._streams
        if streams is None:
            streams = frozenset((*self._courses, *self.infos, *self.statuses))
        return bool(streams) and all(s in self.statuses and self.statuses[s].final for s in streams)

    @property
    def exhausted(self) -> bool:
        """Whether nothing will follow."""
        return self.ended and not self.ready and not self.gaps

    def take(self, parts: list[bytes], skipped: int = 0) -> None:
        """Take note of a message; `skipped` frames of its stream were passed over on purpose before it.

        Raises:
            VersionError: the publisher speaks another major version.
        """
        try:
            if len(parts) != 2:
                raise SchemaError(f"a message has {len(parts)} parts, not a topic and a body")
            message = unpack(*parts)
        except VersionError:
            raise
        except SchemaError as error:
            self.reject(error)
            return
        if self._streams is not None and message.stream not in self._streams:
            return  # ZeroMQ matches the beginnings of topics: cam1 also brings cam10
        if isinstance(message, FrameResult):
            self._frame(message, skipped)
        elif isinstance(message, StreamInfo):
            self._info(message)
        else:
            self._status(message)

    def reject(self, error: SchemaError) -> None:
        """Count what was not understood; the first time, say why."""
        self.malformed += 1
        if self.malformed == 1:
            _log.warning("skipping a message from %s that is not version 1 of the wire: %s", self._source, error)

    def check(self) -> None:
        """Ask whether the streams that have not ended went on without us."""
        for stream, course in self._courses.items():
            status = self.statuses.get(stream)
            if course.next is not None and not (status and status.final):
                self.gaps.append(Gap(Request(stream, course.run, course.next, NO_END)))

    def fill(self, answer: Answer) -> None:
        """Take note of the answer to the first gap."""
        gap = self.gaps[0]
        request, course = gap.request, self._courses[gap.request.stream]
        if request.run not in ("", answer.run):
            self._begin_anew(answer.run)
            return
        course.run, course.next = answer.run, answer.to
        self.ready.extend(answer.frames)
        self.recovered[request.stream] += len(answer.frames)
        self.lost[request.stream] += answer.to - request.first - len(answer.frames)
        self.gaps[0] = replace(gap, request=replace(request, run=answer.run, first=answer.to))
        if answer.to == request.to or answer.to == request.first:
            self.give_up()  # there is no more
            if request.to == NO_END and answer.status is not None:
                self._status(answer.status)

    def give_up(self) -> None:
        """Count what is still missing in the first gap as lost, and go on."""
        gap = self.gaps.popleft()
        if gap.request.to != NO_END:
            self.lost[gap.request.stream] += gap.request.to - gap.request.first
        if gap.then is not None:
            self._accept(gap.then)

    def _begin_anew(self, run: str) -> None:
        """The publisher counts anew, in `run`: what the first gap misses then begins with frame 0."""
        gap = self.gaps[0]
        if not run or gap.restarted:  # the stream is gone, or every answer tells of another run
            self.give_up()
            return
        self._courses[gap.request.stream].restart(run)
        self.gaps[0] = Gap(replace(gap.request, run=run, first=0), gap.then, restarted=True)

    def _info(self, info: StreamInfo) -> None:
        course = self._courses.setdefault(info.stream, _Course())
        if info.run not in ("", course.run):
            if course.run:
                course.restart(info.run)
            course.run = info.run
        self.infos[info.stream] = info

    def _frame(self, frame: FrameResult, skipped: int) -> None:
        course = self._courses.setdefault(frame.stream, _Course())
        if frame.seq <= course.heard or frame.epoch < course.epoch:
            course.restart("")
        course.heard = frame.seq
        if course.next is None:
            course.next = frame.seq
        if frame.seq >= course.next:
            self._bridge(frame.stream, course.next, frame.seq, skipped, frame)

    def _status(self, status: StreamStatus) -> None:
        course = self._courses.get(status.stream)
        end = status.next_seq if status.final else 0
        first = end if course is None or course.next is None else course.next
        self._bridge(status.stream, first, end, 0, status)

    def _bridge(self, stream: str, first: int, to: int, skipped: int, then: FrameResult | StreamStatus) -> None:
        """Accept `then`, once the frames from `first` to before `to` are fetched or lost."""
        missing = max(0, to - first - skipped)
        if missing and self._recover:
            self.gaps.append(Gap(Request(stream, self._courses[stream].run, first, to), then))
        else:
            self.lost[stream] += missing
            self._accept(then)

    def _accept(self, message: FrameResult | StreamStatus) -> None:
        course = self._courses.setdefault(message.stream, _Course())
        if isinstance(message, FrameResult):
            course.next, course.heard, course.epoch = message.seq + 1, message.seq, message.epoch
            self.ready.append(message)
            return
        self.statuses[message.stream] = message
        if message.final and course.next is not None:
            course.next = max(course.next, message.next_seq)
