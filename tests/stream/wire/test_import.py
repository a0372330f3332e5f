"""Subscribers are other people's services: what they import is small and quick."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = {"torch", "cv2", "av", "pydantic", "scipy", "typer", "rich", "pycocotools", "yaml", "models"}
SECONDS = 0.2

PROGRAM = """
import json, sys, time
started = time.process_time()
from stream import Subscriber
from stream.wire import Publisher, from_json, pack, unpack
print(json.dumps([time.process_time() - started, sorted(sys.modules)]))
"""


def test_a_subscriber_drags_the_whole_project_in() -> None:
    runs = []
    for _ in range(3):
        seconds, modules = json.loads(subprocess.check_output([sys.executable, "-c", PROGRAM], timeout=60))
        assert not HEAVY & {name.partition(".")[0] for name in modules}
        runs.append(seconds)
    assert min(runs) < SECONDS, f"processor time of the import, three times: {runs}"
