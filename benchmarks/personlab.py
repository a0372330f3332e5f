"""Milliseconds of every step of PersonLab's decoding, on one processor core.

Usage, in the root of the repository:

    python -m benchmarks.personlab [--people N] [--stride 8|16] [--rounds N] [--json]

The maps are those of a crowd of stick figures of 170 pixels in 401 x 401 pixels, as `tests.models.joint.scenes` draws
them: discs of 32 pixels around 17 keypoints of everybody, offsets that err by one pixel. Steps are timed by the time
that the processor spent on them, of which the least of all rounds counts.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import count
from models.joint.decoding import Maps, confidence, hough, peaks
from models.joint.grouping import group
from models.joint.masks import label
from models.joint.personlab_task import PersonLabDetector
from models.tasks import Image
from tests.models.joint.scenes import crowd, scene


class Stopwatch:
    """Remembers the least time of each step."""

    def __init__(self) -> None:
        self.least: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Time what is done inside."""
        begun = time.thread_time()
        yield
        self.least[step] = min(self.least.get(step, float("inf")), (time.thread_time() - begun) * 1000)


def steps(maps: Maps, stopwatch: Stopwatch) -> int:
    """Decode once, step by step; returns how many people were found."""
    with stopwatch.timed("Hough voting"):
        votes = hough(maps.heat, maps.short, maps.stride)
    with stopwatch.timed("peaks"):
        found = peaks(votes)
    with stopwatch.timed("grouping"):
        people = group(found, maps.mid, maps.short, maps.stride)
        sure = confidence(people, maps.heat, maps.stride)
        people = people[sure.mean(1) >= 0.5]
    with stopwatch.timed("masks"):
        label(people, maps)
    return len(people)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=count, default=10)
    parser.add_argument("--stride", type=count, default=16, choices=(8, 16))
    parser.add_argument("--rounds", type=count, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    of = scene(crowd(options.people), stride=options.stride)
    heat, short, mid, long, person = (torch.from_numpy(part) for part in of.maps)
    maps = Maps(heat, *(part.unflatten(0, (-1, 2)) for part in (short, mid, long)), person[0], of.stride)
    rows = tuple(part[None] for part in of.maps)
    whole = PersonLabDetector(lambda _: rows, (401, 401), of.stride, 0.5)
    image = np.zeros((401, 401, 3), np.uint8)
    stopwatch, found = Stopwatch(), 0
    with torch.inference_mode():
        for _ in range(options.rounds):
            found = steps(maps, stopwatch)
            with stopwatch.timed("all of the above, boxes and windows"):
                everything(whole, image)
    report = {"people": found, "stride": of.stride, "rounds": options.rounds, "ms": stopwatch.least}
    if options.json:
        print(json.dumps(report))  # noqa: T201
        return
    table = Table("step", "ms", title=f"{found} people, 401 x 401, stride {of.stride}, one core")
    for step, least in stopwatch.least.items():
        table.add_row(step, f"{least:.1f}")
    Console().print(table)


def everything(detector: PersonLabDetector, image: Image) -> None:
    """What the graph asks for."""
    (boxes,) = detector([image])
    if boxes.masks is not None:
        boxes.masks()


if __name__ == "__main__":
    main()
