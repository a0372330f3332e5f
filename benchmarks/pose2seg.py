"""What Pose2Seg costs a person beside its two networks, milliseconds of one core.

Usage: python -m benchmarks.pose2seg [--people 10] [--json]

People stand about in a frame of 1920 x 1080 and are drawn at random, the same at every run. Their features are random
too: what they are makes no difference to the time. No weights are needed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import count
from models.segment.affine_align import FEATURES, SQUARE, align, sample
from models.segment.pose2seg import CHANNELS
from models.segment.pose2seg_task import paste
from models.segment.pose_templates import load_templates
from models.segment.skeleton_maps import skeleton_maps
from models.tasks import Float

FRAME = (1080, 1920)
ROUNDS = 20
"""How often each step is done; the fastest counts."""


def crowd(count: int) -> Float:
    """People of 100 to 500 pixels, all keypoints visible: float32 [count, 17, 3] in pixels of the frame."""
    random = np.random.default_rng(0)
    template = load_templates().points[0] - 0.5
    heights = random.uniform(100, 500, (count, 1, 1))
    places = random.uniform((250, 250), (FRAME[1] - 250, FRAME[0] - 250), (count, 1, 2))
    points = template * heights + places + random.normal(0, 0.02, (count, 17, 2)) * heights
    return np.concatenate([points, np.full((count, 17, 1), 2)], -1).astype(np.float32)


def milliseconds(action: Callable[[], object]) -> float:
    """Processor time of `action`."""
    times = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        action()
        times.append(time.thread_time() - start)
    return 1e3 * min(times)


def measure(count: int) -> dict[str, float]:
    """Milliseconds a person of each step, `count` people at once, features in the segmenter's batches."""
    templates, people = load_templates(), crowd(count)
    scale = FEATURES / max(FRAME)
    poses = (people * (scale, scale, 1) + (0, (FEATURES - scale * FRAME[0]) / 2, 0)).astype(np.float32)
    matrices = align(poses, templates)
    aligned = (poses[..., :2] @ matrices[..., :2].swapaxes(1, 2) + matrices[:, None, :, 2]).astype(np.float32)
    drawn = np.concatenate([aligned, poses[..., 2:]], -1)
    features = np.random.default_rng(1).standard_normal((1, FEATURES, FEATURES, CHANNELS), np.float32)
    batches = [matrices[first : first + 4] for first in range(0, count, 4)]

    def sample_all() -> None:
        for batch in batches:
            sample(features, np.zeros(len(batch), np.intp), batch)

    to_square = matrices @ np.array([[scale, 0, 0], [0, scale, (FEATURES - scale * FRAME[0]) / 2], [0, 0, 1]])
    probability = np.random.default_rng(2).random((SQUARE, SQUARE), np.float32)
    low, high = people[..., :2].min(1).astype(int), people[..., :2].max(1).astype(int)
    windows = [(*(corner - 10).tolist(), *(other + 10).tolist()) for corner, other in zip(low, high, strict=True)]

    def paste_all(places: list[tuple[int, int, int, int]]) -> None:
        for matrix, place in zip(to_square, places, strict=True):
            paste(probability, matrix, place)

    steps: dict[str, Callable[[], object]] = {
        "align to a template": partial(align, poses, templates),
        "skeleton maps": partial(skeleton_maps, drawn, SQUARE),
        "sample the features": sample_all,
        "paste the mask, inside the box": partial(paste_all, windows),
        "for comparison: paste over the whole frame": partial(paste_all, [(0, 0, FRAME[1], FRAME[0])] * count),
    }
    return {name: round(milliseconds(step) / count, 3) for name, step in steps.items()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Milliseconds a person of Pose2Seg beside its networks.")
    parser.add_argument("--people", type=count, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    figures = measure(options.people)
    console = Console()
    if options.json:
        console.print_json(json.dumps({"people": options.people, "ms_a_person": figures}))
        return
    table = Table("step", "ms a person")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:.3f}")
    console.print(table)


if __name__ == "__main__":
    main()
