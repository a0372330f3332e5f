"""The camera's server hangs, with its connections open, and goes on."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera
from tests.faults.watching import WITHIN, Watch


def test_a_server_that_froze_hangs_nothing_and_is_found_again(neighbour: Camera) -> None:
    with Camera() as camera, Watch({"hurt": camera.url, "fine": neighbour.url}) as watch:
        before = time.time()
        camera.freeze()
        reason = watch.wait_for_trouble("hurt")
        assert time.time() - before < 2 * 1.5 + 1, (
            "FFmpeg hands its last picture out when the timeout strikes, once more"
        )
        assert reason.endswith("1.5 seconds")
        time.sleep(2)
        camera.thaw()
        back = time.time()
        watch.wait_for("hurt", since=back)
        assert time.time() - back < WITHIN
        watch.keeps_pace("fine", before, time.time())
    assert watch.epochs("hurt") == {0, 1}
    assert watch.faults["hurt"]["timeout"] >= 1
