"""Time budgets: what the networks cost, what they may cost, and what is put off where that is too much.

What a network costs, an image or a person, is a running mean of what it really took. What it may cost is saved up by
frames and spent by looks: a frame that needs little leaves something to the next ones, and one that needs too much is
paid for by them. So a budget holds on the average; a single frame may go over it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple, TypeAlias

from stream.metrics import Metrics

Work: TypeAlias = Literal["detections", "keypoints", "masks"]
"""What can be put off: of an image, of a person, of a person (of an image where a network looks at all of it)."""

PUT_OFF = "put off: "
"""Begins the names of counters of work that was put off; the work follows."""

PATIENCE = 4
"""Whatever is put off is done after so many times its period, whether there is time or not."""

SAVED = 8
"""Of so many frames the budget can be saved up, and overdrawn."""

_FREE = 1e-9
"""Seconds that a piece costs of which nothing is known yet."""

_NEWEST = 0.1
"""Weight of the newest timing in the mean, once there are enough of them."""


class Wanted(NamedTuple):
    """Pieces of work that a stream wants to have done, of which so many are too `late` to be put off."""

    pieces: int
    late: int


class Costs:
    """What each work costs, seconds a piece; nothing until it was done once.

    Args:
        clock: seconds, for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._mean: dict[Work, float] = {}
        self._times: dict[Work, int] = {}

    def of(self, work: Work) -> float:
        """What a piece should take, seconds."""
        return self._mean.get(work, 0.0)

    @contextmanager
    def learnt(self, work: Work, pieces: int) -> Iterator[None]:
        """Take the time of the `with` block, in which so many pieces are done."""
        start = self._clock()
        yield
        if pieces:
            each = (self._clock() - start) / pieces
            self._times[work] = self._times.get(work, 0) + 1
            self._mean[work] = self.of(work) + max(_NEWEST, 1 / self._times[work]) * (each - self.of(work))


class _Purse:
    """The time of one stream.

    Attributes:
        left: seconds that may be spent; below 0 when it is overdrawn.
        income: seconds that the newest frame brought; infinite: as many as it takes.
        asked: seconds that all it wanted of this frame would cost; None before the first.
        usual: their mean over the last frames.
    """

    def __init__(self) -> None:
        self.left = 0.0
        self.income = math.inf
        self.asked: float | None = None
        self.usual = math.inf

    def close(self) -> None:
        """A frame is over."""
        if self.asked is not None:
            usual = self.asked if math.isinf(self.usual) else self.usual
            self.usual = usual + _NEWEST * (self.asked - usual)
        self.asked = 0.0

    def earn(self, income: float) -> None:
        """Another frame brings so much."""
        limit = SAVED * income
        before = 0.0 if math.isinf(self.left) else self.left
        self.left = min(max(before, -limit) + income, limit)
        self.income = income

    def ask(self, each: float, wanted: Wanted) -> int:
        """How many of these pieces are paid for: work is begun while there is time, and may overdraw it a little."""
        self.asked = (self.asked or 0.0) + each * wanted.pieces
        self.left -= each * wanted.late
        more = wanted.pieces - wanted.late
        if not math.isinf(self.left):
            more = min(more, math.ceil(max(self.left, 0.0) / each - 0.001))
            if more and each * more - self.left > SAVED * self.income:
                more -= 1
        self.left -= each * more
        return wanted.late + more


class Budget:
    """What streams may cost, each of them and all together, and what has to wait.

    Args:
        metrics: where it is counted.
        each_batch: seconds that all streams of a batch may cost together; 0: as many as it takes.
        costs: what work costs; its own where none is given.
    """

    def __init__(self, metrics: Metrics, each_batch: float = 0.0, costs: Costs | None = None) -> None:
        self.costs = costs or Costs()
        self._metrics = metrics
        self._each_batch = each_batch or math.inf
        self._purses: dict[str, _Purse] = {}
        self._short: set[str] = set()

    def begin(self, streams: Mapping[str, float]) -> None:
        """A batch with one frame of each of these streams, which may cost so many seconds; 0: as many as it takes.

        Of the time of the batch each gets a fair share, by what it wanted lately.
        """
        self._short.clear()
        purses = {stream: self._purses.setdefault(stream, _Purse()) for stream in streams}
        for purse in purses.values():
            purse.close()
        fair = shares({stream: purse.usual for stream, purse in purses.items()}, self._each_batch)
        for stream, purse in purses.items():
            purse.earn(min(streams[stream] or math.inf, fair[stream]))

    def limits(self, stream: str) -> bool:
        """Whether anything of this stream may be put off."""
        return not math.isinf(self._purses[stream].income)

    def fit(self, work: Work, wanted: Mapping[str, Wanted]) -> dict[str, int]:
        """How many of the pieces that streams want are done now; the others are put off, and counted.

        To be asked for what matters most first: where something was put off, whatever matters less waits too, so that
        there is time for it soon.
        """
        each = max(self.costs.of(work), _FREE)
        done = {}
        for stream, want in wanted.items():
            possible = Wanted(want.late, want.late) if stream in self._short else want
            done[stream] = self._purses[stream].ask(each, possible)
            if done[stream] < want.pieces:
                self._short.add(stream)
                self._metrics.count(PUT_OFF + work, stream, want.pieces - done[stream])
        return done

    def forget(self, stream: str) -> None:
        """Keep nothing of a stream that was removed."""
        self._purses.pop(stream, None)


def shares(wanted: Mapping[str, float], total: float) -> dict[str, float]:
    """`total` seconds among streams that usually want so many each; what nobody wants goes to all alike.

    Max-min fairness: each gets an equal part at least, or what it wants, and what those leave who want little is
    divided among the others (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2).
    """
    if math.isinf(total):
        return dict.fromkeys(wanted, total)
    left, given = total, dict[str, float]()
    for number, (stream, want) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        given[stream] = min(want, left / (len(wanted) - number))
        left -= given[stream]
    return {stream: seconds + left / len(given) for stream, seconds in given.items()}
