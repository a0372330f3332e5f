"""Bytes keep coming, but too few for a picture."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera, Line
from tests.faults.watching import WITHIN, Watch


def test_a_line_that_only_drips_counts_as_silent(neighbour: Camera) -> None:
    with (
        Camera() as camera,
        Line(camera.port) as line,
        Watch({"hurt": line.url, "fine": neighbour.url}) as watch,
    ):
        before = time.time()
        line.mode = "drip"
        reason = watch.wait_for_trouble("hurt")
        assert reason.endswith("1.5 seconds")
        line.mode = "clear"
        back = time.time()
        watch.wait_for("hurt", since=back)
        assert time.time() - back < WITHIN
        watch.keeps_pace("fine", before, time.time())
    assert watch.epochs("hurt") >= {0, 1}
