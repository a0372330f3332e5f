"""The camera refuses the credentials, at first or all at once."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera, Line
from tests.faults.watching import Watch


def test_refused_credentials_are_not_hammered(neighbour: Camera) -> None:
    with (
        Camera() as camera,
        Line(camera.port) as line,
        Watch({"hurt": line.url, "fine": neighbour.url}) as watch,
    ):
        before = time.time()
        asked = line.asked
        line.mode = "cut"
        watch.wait_for_trouble("hurt")
        line.mode = "deny"
        watch.wait_for_reason("hurt", "refuses these credentials")
        time.sleep(4)
        assert watch.faults["hurt"]["auth"] == 1, "a camera locks the account after a handful of attempts"
        assert line.asked - asked <= 4
        watch.keeps_pace("fine", before, time.time())
        assert watch.state("hurt").health == "reconnecting"
    assert any("refuses these credentials" in status.reason for status in watch.statuses)
