"""The cameras of these tests themselves: they end, and they do not grow."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.faults.cameras import ROOT, Camera
from tests.faults.gauges import resident
from tests.faults.watching import is_alive, wait_until

OWNER = """
import time
from tests.faults.cameras import Camera
camera = Camera()
camera.start()
print(camera.pid, flush=True)
time.sleep(60)
"""


def test_a_camera_outlives_the_test_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        camera = int(owner.stdout.readline())
        assert is_alive(camera)
        owner.kill()
    wait_until(lambda: not is_alive(camera), 5, "the end of the camera")


def test_a_camera_grows_with_every_picture(neighbour: Camera) -> None:
    time.sleep(1)
    before = resident(neighbour.pid)
    time.sleep(2)
    assert resident(neighbour.pid) < before + 4, "MiB; 50 pictures are 11"
