"""The camera sends another size, in mid-stream or after a restart."""

from __future__ import annotations

import itertools
import time
from typing import Literal

import pytest

from tests.faults.cameras import Camera
from tests.faults.watching import WITHIN, Watch


@pytest.mark.parametrize("kind", ["rtsp", "udp"])
def test_a_camera_that_changes_its_size_is_followed_and_announced(
    neighbour: Camera, kind: Literal["rtsp", "udp"]
) -> None:
    with Camera(kind) as camera, Watch({"hurt": camera.url, "fine": neighbour.url}) as watch:
        time.sleep(0.5)
        before = time.time()
        camera.kill()
        camera.size = (640, 480)
        camera.start()
        back = time.time()
        watch.wait_for("hurt", since=back)
        watch.wait_for_size("hurt", 640, 480)
        assert time.time() - back < WITHIN
        watch.keeps_pace("fine", before, time.time())
    hurt = watch.results["hurt"]
    sizes = list(dict.fromkeys((result.width, result.height) for result in hurt))
    assert sizes == [(320, 240), (640, 480)]
    assert watch.infos["hurt"].width == 640
    if kind == "udp":  # its pts start again in mid-stream
        assert all(0 < b.captured_at - a.captured_at < 10 for a, b in itertools.pairwise(hurt))
