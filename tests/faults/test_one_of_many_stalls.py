"""One of several cameras stalls for good."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera
from tests.faults.watching import Watch


def test_a_stalled_camera_costs_the_others_nothing(neighbour: Camera) -> None:
    others = ("one", "two", "three")
    with Camera() as camera, Watch({"hurt": camera.url, **dict.fromkeys(others, neighbour.url)}) as watch:
        before = time.time()
        camera.freeze()
        time.sleep(6)
        for other in others:
            watch.keeps_pace(other, before, time.time())
        assert watch.state("hurt").health == "reconnecting"
