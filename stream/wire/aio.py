"""The subscriber for asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import zmq
import zmq.asyncio

from stream.types import FrameResult
from stream.wire._subscription import SLICE, Subscription


class AsyncSubscriber(Subscription):
    """`Subscriber` for asyncio: the same arguments, attributes and errors.

        async with AsyncSubscriber("tcp://127.0.0.1:5555", streams=["lobby"]) as results:
            async for result in results:
                print(result.seq, result.people.ids)

    Waiting can be cancelled at any time; no frame is lost by that. One task at a time may wait.
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[FrameResult]:
        while not self._done:
            result = await self.receive(SLICE if self._timeout is None else self._timeout)
            if result is not None:
                yield result
            elif self._timeout is not None and not self._done:
                raise self._silence()

    async def receive(self, timeout: float) -> FrameResult | None:
        """The next frame, or None when `timeout` seconds bring none or, with `until_end`, none can come any more.

        Raises:
            VersionError: the publisher speaks another major version.
        """
        deadline = time.monotonic() + timeout
        while not self._done:
            result = self._step()
            wait = min(SLICE, deadline - time.monotonic())
            if result is not None or wait <= 0:
                return result
            if not self._done:
                poller = zmq.asyncio.Poller()
                poller.register(self._awaited, zmq.POLLIN)
                await poller.poll(max(1, round(wait * 1000)))
        return None

    def close(self) -> None:
        """Leave the publisher. A second call does nothing."""
        self._release()
