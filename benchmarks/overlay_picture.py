"""Makes the picture of the README: the test pattern through the real networks, with the results drawn in.

Usage: python -m benchmarks.overlay_picture [--out docs/overlay.png]
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from benchmarks.arguments import explained, picture_file
from stream import Pipeline, load_config
from stream.sinks import Trails, draw
from stream.types import FrameResult, Image, People, StreamInfo

SOURCE = "testpattern://960x540@25?frames=100"
PEOPLE = 3
"""Figures in the test pattern."""

SECONDS = 3.0
"""A frame of the picture is not looked for before: so long are the trails."""


class Apart:
    """A sink that keeps the frame with everybody in it in which they stand furthest apart, drawn."""

    needs_images = True

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.picture: Image | None = None
        self._gap = 0.0
        self._trails = Trails(SECONDS)

    def start(self, info: StreamInfo) -> None:
        """Needs nothing."""

    def write(self, result: FrameResult, image: Image | None) -> None:
        """Draw the frame if it is better than the best so far."""
        trails = self._trails.update(result)
        if image is None or result.pts < SECONDS or len(result.people) != PEOPLE:
            return
        gap = smallest_gap(result.people)
        if gap > self._gap:
            self._gap, self.picture = gap, draw(image, result, trails)

    def finish(self, stream: str) -> None:
        """Holds nothing of a stream."""

    def close(self) -> None:
        """Holds nothing open."""


def smallest_gap(people: People) -> float:
    """Pixels between the two neighbours, from left to right, who stand nearest to each other."""
    boxes = people.boxes[np.argsort(people.boxes[:, 0])]
    return min(float(right[0] - left[2]) for left, right in pairwise(boxes))


@explained
def main() -> None:
    """Run the pattern and write the picture."""
    parser = argparse.ArgumentParser(description="Make the picture of the README.")
    parser.add_argument("--out", type=picture_file, default="docs/overlay.png")
    out = parser.parse_args().out
    apart = Apart()
    with Pipeline(load_config(sources=[SOURCE]), sinks=[apart]) as pipeline:
        pipeline.run()
    if apart.picture is None:
        raise SystemExit(f"no frame of {SOURCE} shows {PEOPLE} people apart from each other")
    out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(out), apart.picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    Console().print(f"{out}: {out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
