"""The name of the camera's host cannot be resolved."""

from __future__ import annotations

import time

from tests.faults.cameras import SECRET, Camera
from tests.faults.watching import Watch, wait_until


def test_a_host_without_an_address_is_named_and_tried_again(neighbour: Camera) -> None:
    nowhere = f"rtsp://me:{SECRET}@camera.invalid/cam"
    with Watch({"hurt": nowhere, "fine": neighbour.url}) as watch:
        before = time.time()
        watch.wait_for_reason("hurt", "the name of its host cannot be resolved")
        wait_until(lambda: watch.faults["hurt"]["unknown host"] >= 2, 10, "another attempt")
        time.sleep(1)
        watch.keeps_pace("fine", before, time.time())
    assert watch.summary is not None
    (hurt,) = (stream for stream in watch.summary.streams if stream.stream == "hurt")
    assert hurt.frames == 0 and hurt.error is not None and "camera.invalid" in hurt.error
