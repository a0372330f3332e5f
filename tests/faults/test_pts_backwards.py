"""The camera sets its clock: the time stamps of its video fall back, or leap on, while it goes on sending."""

from __future__ import annotations

import itertools
import time

from tests.faults.cameras import Camera, Line
from tests.faults.watching import Watch


def test_time_stamps_that_fall_back_bend_the_time_of_the_tracker(neighbour: Camera) -> None:
    with (
        Camera() as camera,
        Line(camera.port) as line,
        Watch({"hurt": line.url, "fine": neighbour.url}) as watch,
    ):
        time.sleep(1)
        before = time.time()
        for shift in (-30.0, -3600.0, 600.0, 0.0):
            line.clock_shift = shift
            watch.wait_for("hurt", since=time.time())
            time.sleep(0.6)
        watch.keeps_pace("fine", before, time.time())
        assert watch.epochs("hurt") == {0} and not watch.faults["hurt"]
        assert not watch.statuses_of("hurt", "reconnecting")
        dropped = watch.state("hurt").dropped
    hurt = watch.results["hurt"]
    assert hurt[-1].seq + 1 - len(hurt) <= sum(dropped.values()) < 0.05 * len(hurt) and not dropped.get("damaged")
    assert all(0 < b.captured_at - a.captured_at < 1 for a, b in itertools.pairwise(hurt))
    assert all(a.pts < b.pts for a, b in itertools.pairwise(hurt))
    assert max(b.pts - a.pts for a, b in itertools.pairwise(hurt)) > 100, "the leap must have come through"
    assert {id_ for result in hurt for id_ in result.people.ids.tolist()} == {1}
