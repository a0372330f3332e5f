"""The decoder of one stream hangs."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.cameras import Camera
from tests.faults.watching import WITHIN, Watch


def test_a_decoder_that_hangs_is_replaced(neighbour: Camera) -> None:
    with Camera() as camera, Watch({"hurt": camera.url, "fine": neighbour.url}) as watch:
        decoder = watch.decoder("hurt")
        before = time.time()
        os.kill(decoder, signal.SIGSTOP)
        reason = watch.wait_for_trouble("hurt")
        watch.wait_for("hurt", since=time.time())
        assert time.time() - before < WITHIN
        watch.keeps_pace("fine", before, time.time())
        assert watch.decoder("hurt") != decoder
    assert "its decoder hung and was killed" in reason and "" in reason
    assert watch.faults["hurt"] == {"crashed": 1} and not watch.faults["fine"]
    assert watch.epochs("hurt") == {0, 1} and watch.epochs("fine") == {0}
