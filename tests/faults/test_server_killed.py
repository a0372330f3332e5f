"""The camera's server is killed and comes back."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.faults.cameras import Camera
from tests.faults.watching import WITHIN, Watch


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_a_server_that_was_killed_is_found_again(neighbour: Camera, isolation: str) -> None:
    with (
        Camera() as camera,
        Watch({"hurt": {"source": camera.url, "isolation": isolation}, "fine": neighbour.url}) as watch,
    ):
        before = time.time()
        camera.kill()
        reason = watch.wait_for_trouble("hurt")
        time.sleep(1.5)
        camera.start()
        back = time.time()
        watch.wait_for("hurt", since=back)
        after = time.time()
    assert "the other side" in reason or "nobody answers" in reason
    assert after - back < WITHIN
    watch.keeps_pace("fine", before, after)
    hurt = watch.results["hurt"]
    assert watch.epochs("hurt") == {0, 1}
    assert [result.seq for result in hurt] == sorted({result.seq for result in hurt})
    assert all(a.captured_at < b.captured_at for a, b in itertools.pairwise(hurt))
    states = [(status.state, status.epoch) for status in watch.statuses if status.stream == "hurt"]
    assert states[:1] == [("running", 0)] and ("reconnecting", 0) in states and ("running", 1) in states
    assert {status.stream for status in watch.statuses if status.state == "reconnecting"} == {"hurt"}
