"""What follows the networks: following, smoothing, run lengths of masks and messages, microseconds a frame.

    python -m benchmarks.bookkeeping [--people N]... [--rounds N] [--json]

Of each frame the fastest round counts, as other work on the machine only ever adds. Masks are ellipses that fill their
boxes of 60 x 160 pixels.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import count
from stream.config import TrackConfig
from stream.measuring.bench import Crowd
from stream.tracking import KeypointSmoother, Tracker
from stream.types import FrameResult, Mask
from stream.wire import pack

STEPS = ("tracking", "smoothing", "masks", "message")
FRAMES = 100
FPS = 25
WINDOW = np.add.outer(np.linspace(-1, 1, 160) ** 2, np.linspace(-1, 1, 60) ** 2) < 1


def once(people: int) -> np.ndarray:
    """Seconds of each step in each frame, float64 [frames, steps]."""
    tracker, smoother = Tracker(TrackConfig()), KeypointSmoother(TrackConfig())
    crowd, took = [Crowd(people).at(frame / FPS) for frame in range(FRAMES)], np.empty((FRAMES, len(STEPS)))
    for frame, found in enumerate(crowd):
        clock = [time.perf_counter()]
        tracked = tracker.update(found, frame / FPS)
        clock.append(time.perf_counter())
        smooth = smoother.smooth(tracked, frame / FPS)
        clock.append(time.perf_counter())
        masks = tuple(Mask.encode(WINDOW, (0, 0)) for _ in range(people))
        clock.append(time.perf_counter())
        whole = replace(smooth, masks=masks[: len(smooth)])
        pack(FrameResult("bench", 0, frame, 0.0, 0.0, "file", 0.0, 1920, 1080, whole))
        clock.append(time.perf_counter())
        took[frame] = np.diff(clock)
    return took


def main() -> None:
    """Prints the table, or with --json the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=count, action="append", help="in a frame (default: 6, 12 and 100)")
    parser.add_argument("--rounds", type=count, default=10, help="default: 10")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    figures = {}
    for people in options.people or (6, 12, 100):
        fastest = np.min([once(people) for _ in range(options.rounds)], axis=0).mean(axis=0)
        figures[people] = dict(zip(STEPS, (1e6 * fastest).round(1).tolist(), strict=True))
    if options.json:
        Console().print_json(data=figures)
        return
    table = Table("people", *STEPS, "together", title="microseconds a frame")
    for people, row in figures.items():
        table.add_row(str(people), *(f"{value:.0f}" for value in row.values()), f"{sum(row.values()):.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
