"""Milliseconds of a person's contour mask, by the height of the person.

Usage: python -m benchmarks.contour [--json]

The people are made: a standing figure, before blots of random colours so that there are edges everywhere. It is the
processor time of one thread, so that others on the machine do not count.
"""

from __future__ import annotations

import argparse
import json
import time

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from models.segment.contour import ContourSegmenter

HEIGHTS = (60, 120, 240, 480, 960)
PEOPLE, ROUNDS = 10, 20

FIGURE = (
    (0, -0.9), (0.05, -0.93), (-0.05, -0.93), (0.08, -0.9), (-0.08, -0.9),
    (0.2, -0.65), (-0.2, -0.65), (0.3, -0.35), (-0.3, -0.35), (0.32, -0.05), (-0.32, -0.05),
    (0.12, 0), (-0.12, 0), (0.13, 0.5), (-0.13, 0.5), (0.13, 0.95), (-0.13, 0.95),
)  # fmt: skip
"""Keypoints of a standing person, in halves of the height from the middle."""


def milliseconds(height: int) -> float:
    """Of one of `PEOPLE` who are `height` pixels tall: the fastest of `ROUNDS` rounds."""
    random = np.random.default_rng(0)
    image = cv2.resize(random.integers(0, 256, (68, 120, 3), np.uint8), (1920, 1080), interpolation=cv2.INTER_CUBIC)
    half = height / 2
    places = random.uniform((half, half), (1920 - half, 1080 - half), (PEOPLE, 2))
    reach = np.array([half / 2, half])
    boxes = np.concatenate([places - reach, places + reach], axis=1).astype(np.float32)
    points = places[:, None] + np.array(FIGURE) * half
    keypoints = np.concatenate([points, np.full((PEOPLE, 17, 1), 0.9)], axis=2).astype(np.float32)
    segmenter, times = ContourSegmenter(), []
    for _ in range(ROUNDS):
        start = time.thread_time()
        segmenter([image], [boxes], [keypoints])
        times.append(time.thread_time() - start)
    return 1e3 * min(times) / PEOPLE


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Milliseconds of a person's contour mask.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rows = [{"height": height, "ms_per_person": round(milliseconds(height), 3)} for height in HEIGHTS]
    console = Console()
    if options.json:
        console.print_json(json.dumps(rows))
        return
    table = Table("height, pixels", "ms a person")
    for row in rows:
        table.add_row(str(row["height"]), f"{row['ms_per_person']:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
