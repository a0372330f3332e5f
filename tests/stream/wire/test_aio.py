"""The subscriber of asyncio receives what that of threads does, and never holds up the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stream.wire import AsyncSubscriber, KeyFolder, Publisher, Replay, Security, StreamStatus, pack
from tests.stream.wire.samples import assert_same, make_info, make_result

HERE = "tcp://127.0.0.1:0"
FRAME = make_result(people=1)


async def joined(publisher: Publisher) -> None:
    await asyncio.to_thread(publisher.wait_for_subscribers, ["lobby"], 1, 5)


async def _iterating(publisher: Publisher) -> None:
    async with AsyncSubscriber(publisher.endpoint, ["lobby"], until_end=True, timeout=5) as results:
        await joined(publisher)
        sent = [make_result(seq=seq) for seq in (0, 1, 4)]
        for result in sent:
            publisher.send(result)
        publisher.report(StreamStatus("lobby", 0, "ended", 6))
        received = [result async for result in results]
        for one, other in zip(received, sent, strict=True):
            assert_same(one, other)
        assert results.lost["lobby"] == 3 and results.ended and "lobby" in results.infos


async def _recovering(publisher: Publisher) -> None:
    async with AsyncSubscriber(publisher.endpoint, recover=True) as results:
        await joined(publisher)
        publisher.send(FRAME)
        for seq in range(1, 60):
            publisher._ring.put("lobby", seq, pack(replace(FRAME, seq=seq)))
        publisher.send(replace(FRAME, seq=60))
        received = []
        while len(received) < 61:
            waiting = asyncio.create_task(results.receive(5))
            await asyncio.sleep(0)
            waiting.cancel()  # again and again, wherever it waits
            try:
                result = await waiting
            except asyncio.CancelledError:
                result = await results.receive(0.02)
            received += [] if result is None else [result.seq]
        assert received == list(range(61)) and results.recovered["lobby"] == 59


async def _conflating(publisher: Publisher) -> None:
    async with AsyncSubscriber(publisher.endpoint, latest=True) as results:
        await joined(publisher)
        for seq in range(50):
            publisher.send(replace(FRAME, seq=seq))
        shown = await results.receive(5)
        while shown is not None and shown.seq < 49:
            shown = await results.receive(5)
        assert shown is not None and not results.lost.total()


@pytest.mark.parametrize("use", [_iterating, _recovering, _conflating])
def test_asyncio_receives_something_else(use: Callable[[Publisher], Awaitable[None]]) -> None:
    with Publisher(HERE, replay=Replay()) as publisher:
        publisher.announce(make_info())
        asyncio.run(use(publisher))  # type: ignore[arg-type]


def test_a_silent_publisher_holds_up_the_loop() -> None:
    async def wait(endpoint: str) -> float:
        late = 0.0
        async with AsyncSubscriber(endpoint, timeout=0.4) as results:
            iterating = asyncio.ensure_future(anext(aiter(results)))
            while not iterating.done():
                started = time.monotonic()
                await asyncio.sleep(0.01)
                late = max(late, time.monotonic() - started)
            with pytest.raises(TimeoutError, match=r"no frame from tcp://.* for 0.4 s"):
                await iterating
        return late

    with Publisher(HERE) as publisher:
        assert asyncio.run(wait(publisher.endpoint)) < 0.2


def test_a_frame_that_comes_while_the_loop_waits_is_noticed_late() -> None:
    async def run(publisher: Publisher) -> float:
        async with AsyncSubscriber(publisher.endpoint) as results:
            await joined(publisher)
            waits = []
            for seq in range(10):
                waiting = asyncio.create_task(results.receive(5))
                await asyncio.sleep(0.01)
                started = time.monotonic()
                publisher.send(replace(FRAME, seq=seq))
                assert (await waiting) is not None
                waits.append(time.monotonic() - started)
            return sorted(waits)[5]

    with Publisher(HERE) as publisher:
        assert asyncio.run(run(publisher)) < 0.1  # half of the slice in which it would look anyway


def test_asyncio_cannot_show_its_keys(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path)
    for name in ("server", "viewer"):
        keys.create(name)
    keys.allow("viewer", tmp_path / "viewer.key")

    async def run(publisher: Publisher) -> None:
        viewer = {"server_key": tmp_path / "server.key", "keys": tmp_path / "viewer.key_secret"}
        async with AsyncSubscriber(publisher.endpoint, **viewer) as results:  # type: ignore[arg-type]
            await joined(publisher)
            publisher.send(FRAME)
            assert await results.receive(5) is not None

    with Publisher(HERE, security=Security(keys)) as publisher:
        asyncio.run(run(publisher))
