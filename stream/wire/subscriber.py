"""The receiving end of the wire: an iterator of results that notices what it has missed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from stream.types import FrameResult
from stream.wire._subscription import SLICE, Subscription


class Subscriber(Subscription):
    """Receives the results of a publisher; iterate over it for one `FrameResult` after the other.

        with Subscriber("tcp://127.0.0.1:5555", streams=["lobby"]) as results:
            for result in results:
                print(result.seq, result.people.ids)

    Delivery is at most once: what is published while nobody listens, or while this program is too slow, is gone, and
    `lost` counts it; with `recover` it is fetched again as long as the publisher keeps it. A publisher that goes away
    and comes back is found again. A subscriber belongs to one thread; `AsyncSubscriber` is the same for asyncio.

    Args:
        endpoint: where the publisher listens.
        streams: the id or ids to receive; None for all.
        timeout: seconds of silence after which iterating raises TimeoutError; None waits as long as it takes.
        until_end: stop iterating when every stream of `streams` (None: every stream heard of) has ended.
        high_water_mark: messages kept here while this program is busy, before the publisher's own queue fills.
        latest: give the newest frame of each stream alone, for who shows what is now; the others are `skipped`.
        recover: fetch missed frames from the publisher's replay socket, and deliver them in order. True asks where the
            publisher says; text is an endpoint of your own, such as that of a tunnel.
        server_key: public key of the publisher, text or the path of its `.key` file; None: not encrypted.
        keys: the pair of this program, or the path of its `.key_secret` file.

    Raises:
        EndpointError: the endpoint is not one.
        SecurityError: the keys cannot be used.
        ValueError: both `latest` and `recover` are asked for.

    Attributes:
        infos: what each stream is, by id, as far as its `info` has arrived.
        statuses: how each stream is doing, by id.
        lost: frames per stream that were published, or captured and given up, after the first one received.
        recovered: frames per stream that were missed and fetched again; they are not lost.
        skipped: frames per stream that `latest` has passed over; they are not lost.
        malformed: messages that were not understood and are skipped.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[FrameResult]:
        while not self._done:
            result = self.receive(SLICE if self._timeout is None else self._timeout)
            if result is not None:
                yield result
            elif self._timeout is not None and not self._done:
                raise self._silence()

    def receive(self, timeout: float) -> FrameResult | None:
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
                self._awaited.poll(max(1, round(wait * 1000)))
        return None

    def close(self) -> None:
        """Leave the publisher. A second call does nothing."""
        self._release()
