"""Puts what several workers finish at different times back into the order in which they took it."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class InOrder(Generic[T]):
    """A bounded queue ordered by ticket: take a `ticket`, `put` under it when done, `get` in ticket order."""

    def __init__(self, capacity: int) -> None:
        """Room for `capacity` finished items ahead of the next one to be got."""
        self._capacity = capacity
        self._changed = threading.Condition()
        self._finished: dict[int, T] = {}
        self._issued = 0
        self._next = 0

    def ticket(self) -> int:
        """The next place in the order. Whoever takes it must `put` under it."""
        with self._changed:
            self._issued += 1
            return self._issued - 1

    def put(self, ticket: int, item: T, timeout: float) -> bool:
        """Hand over what was made under `ticket`; False where no room came within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: ticket < self._next + self._capacity, timeout):
                return False
            self._finished[ticket] = item
            self._changed.notify_all()
            return True

    def get(self, timeout: float) -> T | None:
        """The item of the next ticket, or None where it did not come within `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._next in self._finished, timeout):
                return None
            item = self._finished.pop(self._next)
            self._next += 1
            self._changed.notify_all()
            return item

    def empty(self) -> bool:
        """Whether every ticket that was issued has been got."""
        with self._changed:
            return self._next == self._issued
