"""The publisher is killed and starts again, while others subscribe to it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.cameras import Camera
from tests.faults.programs import Program
from tests.faults.watching import WITHIN, Listener


@pytest.mark.slow
def test_a_subscriber_loses_a_publisher_that_restarts_or_conceals_what_it_missed(
    neighbour: Camera, tmp_path: Path
) -> None:
    with (
        Program(tmp_path, {"one": neighbour.url, "two": neighbour.url}) as program,
        Listener(program.endpoint) as plain,
        Listener(program.endpoint, recover=True) as whole,
    ):
        for listener in (plain, whole):
            for stream in ("one", "two"):
                listener.wait_for(stream, since=time.time())
        runs = {stream: info.run for stream, info in plain.subscriber.infos.items()}
        program.kill()
        before = time.time()
        program.start()
        back = time.time()
        for stream in ("one", "two"):
            for listener in (plain, whole):
                listener.wait_for(stream, since=back)
                assert time.time() - back < WITHIN
                assert listener.subscriber.infos[stream].run != runs[stream]
        time.sleep(1)
    for listener in (plain, whole):
        for stream in ("one", "two"):
            old, new = ([r.seq for r in listener.results[stream] if (r.published_at > before) == new] for new in (0, 1))
            missed = old[-1] + 1 - old[0] - len(old) + new[-1] + 1 - len(new)  # it counts anew, from 0
            assert listener.subscriber.lost[stream] == missed
            assert old == sorted(set(old)) and new == sorted(set(new))
        assert not listener.subscriber.malformed
    assert whole.since("one", before)[0].seq <= 2, "what the graph drops of a live stream cannot be fetched"
