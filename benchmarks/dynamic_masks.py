"""Milliseconds of a person's mask from RTMDet-Ins's prototypes, in the person's window and over the whole frame.

Usage: python -m benchmarks.dynamic_masks [--json]

Prototypes, kernels and places are random: the work does not depend on them. It is the processor time of one thread, so
that others on the machine do not count.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from models.joint.dynamic_masks import PARAMETERS, PROTOTYPES, DynamicMasks

FRAME, INPUT = (1080, 1920), 640
HEIGHTS = (60, 120, 240, 480, 960)
PEOPLE, ROUNDS = 10, 7


def people(height: int) -> DynamicMasks:
    """`PEOPLE` who are `height` pixels tall and 2/5 of that wide, somewhere in the frame."""
    random = np.random.default_rng(0)
    corners = random.uniform((0, 0), (FRAME[1] - 0.4 * height, FRAME[0] - height), (PEOPLE, 2))
    size, scale = np.array([0.4 * height, height]), INPUT / FRAME[1]
    return DynamicMasks(
        kernels=random.standard_normal((PEOPLE, PARAMETERS), np.float32),
        points=(corners * scale).astype(np.float32),
        strides=np.full((PEOPLE, 1), 16, np.float32),
        prototypes=random.standard_normal((PROTOTYPES, INPUT // 8, INPUT // 8), np.float32),
        xyxy=np.concatenate([corners, corners + size], axis=1).astype(np.float32),
        scale=scale,
        size=FRAME,
    )


def over_the_frame() -> None:
    """The masks of `PEOPLE` enlarged to the whole frame, without the convolutions before."""
    at_input = F.interpolate(torch.zeros(1, PEOPLE, INPUT // 8, INPUT // 8), scale_factor=8, mode="bilinear")
    at_frame = F.interpolate(at_input, (FRAME[1], FRAME[1]), mode="bilinear")[..., : FRAME[0], :]
    at_frame.gt(0)


def milliseconds(work: Callable[[], object]) -> float:
    """Of one of `PEOPLE`: the fastest of `ROUNDS` rounds."""
    times = []
    for _ in range(ROUNDS):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return round(1e3 * min(times) / PEOPLE, 3)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Milliseconds of a person's mask from prototypes.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [{"masks": f"{height} pixels", "ms_per_person": milliseconds(people(height))} for height in HEIGHTS]
    rows.append({"masks": "the whole frame", "ms_per_person": milliseconds(over_the_frame)})
    console = Console()
    if options.json:
        console.print_json(json.dumps(rows))
        return
    table = Table("height of the person", "ms a person")
    for row in rows:
        table.add_row(str(row["masks"]), str(row["ms_per_person"]))
    console.print(table)


if __name__ == "__main__":
    main()
