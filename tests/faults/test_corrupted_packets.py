"""The line damages the video in every packet for a while."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera, Line
from tests.faults.watching import WITHIN, Watch


def test_damaged_packets_cost_pictures_and_nothing_else(neighbour: Camera) -> None:
    with (
        Camera() as camera,
        Line(camera.port) as line,
        Watch({"hurt": line.url, "fine": neighbour.url}) as watch,
    ):
        before = time.time()
        line.mode = "noise"
        time.sleep(3)
        line.mode = "clear"
        back = time.time()
        watch.wait_for("hurt", since=back)
        assert time.time() - back < WITHIN
        time.sleep(1)
        watch.keeps_pace("fine", before, time.time())
        damaged = watch.state("hurt").dropped.get("damaged", 0)
    assert damaged or watch.faults["hurt"]["corrupt"], "somebody must have noticed"
    assert not watch.faults["hurt"]["crashed"] and not watch.state("fine").dropped.get("damaged")
