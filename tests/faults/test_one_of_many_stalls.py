"""One of several cameras stalls for good."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera
from tests.faults.watching import Watch


def test_a_stalled_camera_costs_the_others_nothing(neighbour: Camera) -> None:
    others = ("one", "two", "three")
    with Camera() as camera, Watch({"hurt": camera.url, **dict.fromkeys(others, neighbour.url)}) as watch:
        time.sleep(3)
        before = time.time()
        camera.freeze()
        time.sleep(5)
        after = time.time()
        for other in others:
            calm = watch.fps(other, before - 3, before)
            assert watch.fps(other, before, after) > 0.95 * calm, other
            watch.keeps_pace(other, before, after)
        assert watch.state("hurt").health == "reconnecting"
