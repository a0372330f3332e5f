"""The camera is set to another codec."""

from __future__ import annotations

import time

from tests.faults.cameras import Camera
from tests.faults.watching import WITHIN, Watch


def test_a_camera_that_changes_its_codec_is_decoded_again(neighbour: Camera) -> None:
    with Camera("udp") as camera, Watch({"hurt": camera.url, "fine": neighbour.url}) as watch:
        before = time.time()
        camera.kill()
        camera.codec, camera.size = "mpeg2video", (352, 288)
        camera.start()
        back = time.time()
        watch.wait_for_size("hurt", 352, 288)
        assert time.time() - back < WITHIN
        watch.keeps_pace("fine", before, time.time())
