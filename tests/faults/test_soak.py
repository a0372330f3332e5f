"""Several streams, a long time, and everything that can go wrong with them, one fault after the other."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from stream.graph import DRAIN
from stream.sources.process import SILENCE
from tests.faults.cameras import FPS, Camera
from tests.faults.chaos import STREAMS, Fault, Scene
from tests.faults.gauges import Sample, growth, settled, table
from tests.faults.watching import WITHIN, Listener, wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS", "30"))

PATIENCE = 20.0
"""Seconds in which every stream must be back, even on a busy machine; the median is held to what a quiet one shows."""

WARM_UP = 1 / 3
"""Of the samples: until every fault has happened once and every ring is full."""

MOST = {"main": 10, "decoders": 40, "descriptors": 1, "threads": 1, "maps": 30, "processes": 0, "shared": 0}
"""What the slopes may add up to over the rest of the soak, memory in MiB; a decoder's follows its camera's size."""


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 240)
def test_faults_wear_it_out(neighbour: Camera, tmp_path: Path) -> None:
    rng = random.Random(int(SECONDS))
    times: defaultdict[str, list[float]] = defaultdict(list)
    samples: list[Sample] = []
    with Scene(tmp_path, rng) as scene:
        for stream in STREAMS:
            scene.listener.wait_for(stream, since=time.time(), within=15)
        began, faults = time.time(), scene.faults()
        try:
            while time.time() - began < SECONDS:
                suffer(scene, next(faults), rng, times)
                samples.append(settled(scene.program.pid, processes=2, within=PATIENCE))
        except AssertionError as error:
            error.add_note(scene.program.errors[-4000:])
            raise
        seconds = time.time() - began
        scene.program.send(signal.SIGTERM)
        assert scene.program.wait(DRAIN) == 0, scene.program.errors
        assert "Traceback" not in scene.program.errors
    streams = {figures["stream"]: figures for figures in scene.program.summary()["streams"]}
    rest = samples[int(WARM_UP * len(samples)) :]
    sys.stdout.write(report(seconds, times, rest, streams))
    assert streams["pattern"]["frames"] >= 0.95 * FPS * seconds and not streams["pattern"]["dropped"]
    assert all(np.median(times_) < WITHIN + SILENCE for times_ in times.values())
    for name, most in MOST.items():
        assert growth(rest)[name] <= most, name


def suffer(scene: Scene, fault: Fault, rng: random.Random, times: dict[str, list[float]]) -> None:
    """Let one fault happen, and wait until every stream is back."""
    epochs = {stream: scene.listener.results[stream][-1].epoch for stream in STREAMS}
    fault.begin()
    if fault.end is not None:
        time.sleep(rng.uniform(0.5, 3.0))
        fault.end()
    back = time.time()
    if fault.cuts is not None:
        wait_until(partial(is_new, scene.listener, fault.cuts, epochs), PATIENCE, f"{fault.name}: {fault.cuts}")
    for stream in STREAMS:
        scene.listener.wait_for(stream, since=back, within=PATIENCE)
    times[fault.name].append(time.time() - back)


def is_new(listener: Listener, stream: str, epochs: dict[str, int]) -> bool:
    """Whether a stream's newest frame came by another connection than it did before."""
    return listener.results[stream][-1].epoch > epochs[stream]


def report(seconds: float, times: dict[str, list[float]], samples: list[Sample], streams: dict[str, object]) -> str:
    """What a person wants to know of a soak."""
    faults = sum(map(len, times.values()))
    lines = [f"{seconds:.0f} s, {faults} faults; samples of the last {len(samples)}:", table(samples)]
    lines += [
        f"{name:45}{len(took):4} times, back within {np.median(took):.2f} s (median), {max(took):.2f} s (most)"
        for name, took in sorted(times.items())
    ]
    lines += [f"{stream}: {figures}" for stream, figures in streams.items()]
    return "\n".join([*lines, ""])
