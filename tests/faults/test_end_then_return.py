"""The other side ends the feed in an orderly way, and takes it up again."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera, Line
from tests.faults.watching import WITHIN, Watch


def test_the_end_of_a_camera_is_no_end(neighbour: Camera) -> None:
    with (
        Camera() as camera,
        Line(camera.port) as line,
        Watch({"hurt": line.url, "fine": neighbour.url}) as watch,
    ):
        for epoch in (1, 2):
            before = time.time()
            line.mode = "cut"
            watch.wait_for_trouble("hurt")
            line.mode = "clear"
            back = time.time()
            watch.wait_for("hurt", since=back)
            assert time.time() - back < WITHIN
            watch.keeps_pace("fine", before, time.time())
            assert watch.state("hurt").epoch == epoch
        assert watch.state("hurt").health == "running"
