"""Frames of many streams into one batch, under a deadline, without ever waiting for a stream that has nothing."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

from stream.types import Frame

Policy = Literal["every", "latest"]
"""What a full inbox does: `every` makes its reader wait, `latest` drops the oldest frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """A frame in an inbox and when it came there (`time.monotonic`)."""

    frame: Frame
    since: float


class Inbox:
    """The bounded queue of one stream in front of the batcher; made by `Batcher.open`."""

    def __init__(self, ready: threading.Condition, capacity: int, policy: Policy) -> None:
        self._ready = ready
        self._capacity = capacity
        self._policy = policy
        self._frames: deque[Waiting] = deque()
        self._closed = False
        self.dropped = 0

    def put(self, frame: Frame, timeout: float) -> bool:
        """Hand over a frame.

        Returns:
            False where the policy is `every` and no room came within `timeout` seconds: the frame was not taken, try
            again. A closed inbox takes and forgets everything.
        """
        with self._ready:
            if self._policy == "every":
                if not self._ready.wait_for(lambda: self._closed or len(self._frames) < self._capacity, timeout):
                    return False
            elif len(self._frames) == self._capacity:
                self._frames.popleft()
                self.dropped += 1
            if not self._closed:
                self._frames.append(Waiting(frame, time.monotonic()))
                self._ready.notify_all()
            return True

    def close(self) -> None:
        """Say that no frame will follow; those that wait are still served."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def discard(self) -> None:
        """Close, and forget what waits."""
        with self._ready:
            self._frames.clear()
            self.close()

    def __len__(self) -> int:
        return len(self._frames)


class Batcher:
    """Collects what is ready.

    A batch goes out when it is full, when every open stream has a frame in it, or when its first frame has waited for
    the deadline. Streams take turns, and the turn goes on from batch to batch, so that none starves.
    """

    def __init__(self, size: int, deadline: float) -> None:
        """Batches of up to `size` frames, held back for at most `deadline` seconds."""
        self._size = size
        self._deadline = deadline
        self._ready = threading.Condition(threading.RLock())
        self._inboxes: deque[Inbox] = deque()

    def open(self, capacity: int, policy: Policy) -> Inbox:
        """A new inbox; its owner closes it."""
        with self._ready:
            inbox = Inbox(self._ready, capacity, policy)
            self._inboxes.append(inbox)
            return inbox

    def next(self, timeout: float) -> list[Waiting] | None:
        """The next batch; empty where none came within `timeout` seconds, None once every inbox is closed and empty."""
        with self._ready:
            if not self._ready.wait_for(lambda: self._finished() or any(self._inboxes), timeout):
                return []
            if self._finished():
                return None
            first = min(inbox._frames[0].since for inbox in self._inboxes if inbox)
            self._ready.wait_for(self._complete, max(0.0, first + self._deadline - time.monotonic()))
            batch = self._take()
            self._ready.notify_all()
            return batch

    def _finished(self) -> bool:
        for inbox in [inbox for inbox in self._inboxes if inbox._closed and not inbox]:
            self._inboxes.remove(inbox)
        return not self._inboxes

    def _complete(self) -> bool:
        waiting = sum(len(inbox) for inbox in self._inboxes)
        return waiting >= self._size or all(inbox or inbox._closed for inbox in self._inboxes)

    def _take(self) -> list[Waiting]:
        batch: list[Waiting] = []
        while len(batch) < self._size and any(self._inboxes):
            inbox = self._inboxes[0]
            self._inboxes.rotate(-1)
            if inbox:
                batch.append(inbox._frames.popleft())
        return batch
