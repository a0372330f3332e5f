"""The networks are too slow for the feed."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stream.graph import DRAIN
from tests.faults.cameras import FPS, Camera
from tests.faults.programs import Program
from tests.faults.watching import Listener

SECONDS = float(os.environ.get("SOAK_SECONDS", "12"))

MODEL_SECONDS = 0.1
"""What every batch takes, where a frame comes every 0.04 s."""

WARM_UP = 2.0


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 120)
def test_a_machine_that_is_too_slow_falls_behind(neighbour: Camera, tmp_path: Path) -> None:
    with (
        Camera() as camera,
        Program(tmp_path, {"cam": camera.url}, model_seconds=MODEL_SECONDS) as program,
        Listener(program.endpoint) as listener,
    ):
        time.sleep(WARM_UP)
        since = time.time()
        time.sleep(SECONDS)
        results = listener.since("cam", since)
        program.send(signal.SIGTERM)
        assert program.wait(DRAIN) == 0, program.errors
    (figures,) = program.summary()["streams"]
    latencies = 1e3 * np.array([result.published_at - result.captured_at for result in results])
    first, *_, last = np.array_split(latencies, 3)
    sys.stdout.write(
        f"{SECONDS:.0f} s, {len(results)} frames, {figures['dropped']}; milliseconds from capture to publication: "
        f"p50 {np.median(latencies):.1f}, p95 {p95(latencies):.1f}, most {latencies.max():.1f}; "
        f"p95 of the first third {p95(first):.1f}, of the last {p95(last):.1f}\n"
    )
    assert p95(latencies) < 1e3 * (2 / FPS + MODEL_SECONDS)
    assert p95(last) < p95(first) + 1e3 / FPS
    assert len(results) > 0.8 * SECONDS / (MODEL_SECONDS + 1 / FPS)
    assert figures["dropped"]["newer frame came"] > figures["frames"] / 2


def p95(values: np.ndarray) -> float:
    return float(np.percentile(values, 95))
