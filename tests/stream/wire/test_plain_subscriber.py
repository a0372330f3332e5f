"""The programs of docs/wire.md: a subscriber that has never heard of this package, and masks without pycocotools."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from stream.types import Mask
from stream.wire import Publisher, StreamStatus
from tests.stream.wire.samples import make_info, make_result

PROGRAMS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[3] / "docs" / "wire.md").read_text(encoding="utf-8"), re.DOTALL
)
MASKS, SUBSCRIBER = PROGRAMS


def test_the_documented_subscriber_does_not_understand_live_messages() -> None:
    refuse = "import sys; sys.modules['stream'] = sys.modules['numpy'] = None\n"  # importing them now fails
    with Publisher("tcp://127.0.0.1:0") as publisher:
        publisher.announce(make_info())
        command = [sys.executable, "-c", refuse + SUBSCRIBER, publisher.endpoint]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        publisher.wait_for_subscribers(["lobby"], 1, timeout=20)
        results = [make_result(seq=seq) for seq in (0, 1, 5)]
        for result in results:
            publisher.send(result)
        publisher.report(StreamStatus("lobby", 0, "ended", 6))
        printed = process.communicate(timeout=20)[0].splitlines()
    assert process.returncode == 0
    assert [line for line in printed if "lost" in line] == [
        "lobby frame 0, 0 lost before it", "lobby frame 1, 0 lost before it", "lobby frame 5, 3 lost before it"
    ]  # fmt: skip
    x, y, _ = results[0].people.keypoints[0, 0].tolist()
    box = results[0].people.boxes[0].tolist()
    assert printed[1] == f"  person 1 at {box}, nose at {x:.1f}, {y:.1f}"


def test_the_documented_mask_decoder_differs_from_pycocotools() -> None:
    program: dict[str, Any] = {}
    exec(MASKS, program)
    rng = np.random.default_rng(0)
    for height, width, share in ((1, 1, 1), (7, 5, 0.5), (80, 33, 0.02), (300, 200, 0.9)):
        window = rng.random((height, width)) < share
        mask = Mask.encode(window, (0, 0))
        decoded = program["decode_mask"]({"size": list(mask.size), "counts": mask.counts.decode("ascii")})
        assert (np.array(decoded, np.bool_) == window).all()
