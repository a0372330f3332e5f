"""Frames of many streams into one batch, under a deadline, without ever waiting for a stream that has nothing."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

from stream.types import Frame

Policy = Literal["every", "latest"]
"""What a full inbox does: `every` makes its reader wait, `latest` drops the oldest frame."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an inbox does with the frames of its stream.

    Attributes:
        capacity: frames that may wait.
        policy: what becomes of one more.
        budget: seconds that a frame may wait until it is served; later, it is dropped. For `latest` alone.
    """

    capacity: int
    policy: Policy
    budget: float = math.inf


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A frame in an inbox and when it came there (`time.monotonic`)."""

    frame: Frame
    since: float


class BatcherEndedError(Exception):
    """An inbox was asked for after the last batch had gone out."""


class Inbox:
    """The bounded queue of one stream in front of the batcher; made by `Batcher.open`.

    Attributes:
        drops: how many frames were taken and will not be served, by reason.
    """

    def __init__(self, ready: threading.Condition, terms: Terms) -> None:
        self._ready = ready
        self._terms = terms
        self._frames: deque[Waiting] = deque()
        self._closed = False
        self._held = False
        self._dropping: str | None = None  # the reason
        self.drops: Counter[str] = Counter()

    @property
    def dropped(self) -> int:
        """How many frames were taken and will not be served."""
        with self._ready:
            return self.drops.total()

    def put(self, frame: Frame, timeout: float) -> bool:
        """Hand over a frame.

        Returns:
            False where the policy is `every` and no room came within `timeout` seconds: the frame was not taken, try
            again. A closed inbox takes and drops everything.
        """
        with self._ready:
            if self._terms.policy == "every" and not self._ready.wait_for(self._has_room, timeout):
                return False
            if self._dropping is not None:
                self.drops[self._dropping] += 1
                return True
            while len(self._frames) >= self._terms.capacity:
                self._frames.popleft()
                self.drops["newer frame came"] += 1
            self._frames.append(Waiting(frame, time.monotonic()))
            self._ready.notify_all()
            return True

    def adopt(self, terms: Terms) -> None:
        """Go by other terms from now on."""
        with self._ready:
            self._terms = terms
            self._ready.notify_all()

    def hold(self) -> None:
        """Have no room until `resume`; to be used where the policy is `every`."""
        with self._ready:
            self._held = True
            self._ready.notify_all()

    def drop(self, reason: str) -> None:
        """Drop what waits and, until `resume`, whatever comes; counted under `reason`."""
        with self._ready:
            self.drops[reason] += len(self._frames)
            self._frames.clear()
            self._dropping = reason
            self._ready.notify_all()

    def resume(self) -> None:
        """Take frames again, after `hold` or `drop`."""
        with self._ready:
            self._held, self._dropping = False, None

    def close(self) -> None:
        """Say that no frame will follow; those that wait are still served."""
        with self._ready:
            self._closed = True
            self._dropping = self._dropping or "given up"
            self._ready.notify_all()

    def discard(self) -> None:
        """Close, and drop what waits."""
        with self._ready:
            self.drop("given up")
            self.close()

    def _has_room(self) -> bool:
        return self._dropping is not None or (not self._held and len(self._frames) < self._terms.capacity)

    def _awaited(self) -> bool:
        """Whether a batch may hope for a frame of it that is not there yet."""
        return not (self._frames or self._held or self._dropping)

    def _due(self, deadline: float) -> float:
        """When a batch must go out with its first frame: in time for the budget, of which half is for the way there."""
        return self._frames[0].since + min(deadline, self._terms.budget / 2)

    def _serve(self) -> Waiting | None:
        """Its oldest frame that is within the budget."""
        while self._frames:
            waiting = self._frames.popleft()
            if time.monotonic() - waiting.since <= self._terms.budget:
                return waiting
            self.drops["late"] += 1
        return None

    def __len__(self) -> int:
        return len(self._frames)


class Batcher:
    """Collects what is ready.

    A batch has one frame of a stream at most: a second one would make the first wait. It goes out when it is full, when
    every open stream has a frame in it, or when its first frame has waited for the deadline. Streams take turns, and
    the turn goes on from batch to batch, so that none starves. A frame that is beyond its stream's budget by then is
    dropped: how long it has waited here is all that counts, so that no clock, a camera's or ours, can mislead it.

    Args:
        size: frames in a batch at most.
        deadline: seconds that a frame is held back at most.
        lasting: whether it waits for further inboxes when the last one is closed and empty, until `end`.
    """

    def __init__(self, size: int, deadline: float, *, lasting: bool = False) -> None:
        self._size = size
        self._deadline = deadline
        self._lasting = lasting
        self._ready = threading.Condition(threading.RLock())
        self._inboxes: deque[Inbox] = deque()
        self._ended = False

    def open(self, terms: Terms) -> Inbox:
        """A new inbox; its owner closes it.

        Raises:
            BatcherEndedError: the last batch has gone out.
        """
        with self._ready:
            if self._ended:
                raise BatcherEndedError
            inbox = Inbox(self._ready, terms)
            self._inboxes.append(inbox)
            return inbox

    def end(self) -> None:
        """Wait for no further inbox: the end comes when those that are open are closed and empty."""
        with self._ready:
            self._lasting = False
            self._ready.notify_all()

    def next(self, timeout: float) -> list[Waiting] | None:
        """The next batch; empty where none came in time within `timeout` seconds, None once the end has come."""
        with self._ready:
            if not self._ready.wait_for(lambda: self._finished() or any(self._inboxes), timeout):
                return []
            if self._finished():
                return None
            due = min(inbox._due(self._deadline) for inbox in self._inboxes if inbox)
            self._ready.wait_for(self._complete, max(0.0, due - time.monotonic()))
            batch = self._take()
            self._ready.notify_all()
            return batch

    def _finished(self) -> bool:
        for inbox in [inbox for inbox in self._inboxes if inbox._closed and not inbox]:
            self._inboxes.remove(inbox)
        self._ended = self._ended or not (self._inboxes or self._lasting)
        return self._ended

    def _complete(self) -> bool:
        ready = sum(1 for inbox in self._inboxes if inbox)
        return ready >= self._size or not any(inbox._awaited() for inbox in self._inboxes)

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        for _ in range(len(self._inboxes)):
            if len(batch) == self._size:
                break
            inbox = self._inboxes[0]
            self._inboxes.rotate(-1)
            waiting = inbox._serve()
            if waiting is not None:
                batch.append(waiting)
        return batch
