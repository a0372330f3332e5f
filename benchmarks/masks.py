"""Bytes and microseconds of a person's mask, by the height of the person.

Usage: python -m benchmarks.masks SOURCE... [--set KEY=VALUE]... [--json]

SOURCE is whatever `peoplestream run` watches: a video, a folder of images. Everybody counts of whom the detector is
sure (`track.high_score`), as if no frame had one before it. Bytes are those that the mask adds to a message.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import explained
from benchmarks.measure import FailedError
from stream import Pipeline, load_config
from stream.cli.running import check
from stream.sources.opening import open_source
from stream.types import FrameResult
from stream.wire import pack

HEIGHTS = (0, 60, 100, 200, 350, 450, 10_000)
"""Pixels between which people are taken together."""

ROUNDS = 20
"""How often a mask is encoded and decoded; the fastest counts."""


def measure(result: FrameResult) -> list[tuple[float, int, float, float]]:
    """Of everybody with a mask: height in pixels, bytes, and microseconds to encode and to decode."""
    rows = []
    for i in range(len(result.people)):
        person = result.people[[i]]
        mask = person.rle(0)
        if mask is None:
            continue
        window = mask.window()
        without = replace(result, people=replace(person, masks=()))
        rows.append(
            (
                float(person.boxes[0, 3] - person.boxes[0, 1]),
                len(pack(replace(result, people=person))) - len(pack(without)),
                microseconds(lambda mask=mask, window=window: mask.encode(window, mask.origin)),
                microseconds(mask.window),
            )
        )
    return rows


def microseconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return 1e6 * min(times)


def summarise(rows: list[tuple[float, int, float, float]]) -> list[dict[str, Any]]:
    """One entry for each range of heights that somebody is in."""
    table = np.array(rows).reshape(-1, 4)
    entries = []
    for low, high in pairwise(HEIGHTS):
        bytes_, encode, decode = table[(table[:, 0] >= low) & (table[:, 0] < high), 1:].T
        if len(bytes_):
            entries.append(
                {
                    "height": [low, high],
                    "people": len(bytes_),
                    "bytes": {"median": float(np.median(bytes_)), "p95": float(np.percentile(bytes_, 95))},
                    "encode_us": round(float(np.median(encode)), 1),
                    "decode_us": round(float(np.median(decode)), 1),
                }
            )
    return entries


@explained
def main() -> None:
    """Run the sources and print the table."""
    parser = argparse.ArgumentParser(description="Bytes and microseconds of a person's mask.")
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: list[FrameResult] = []
    config = load_config(sources=options.sources, overrides=["track.confirm_frames=1", *options.overrides])
    for stream in config.streams:
        open_source(stream, config.decode).close()  # one that cannot be opened is told before anything runs
    with Pipeline(config, on_result=results.append) as pipeline:
        check(pipeline.run())
    entries = summarise([row for result in results for row in measure(result)])
    if not entries:
        raise FailedError("nobody had a mask in any frame: there is nothing to measure")
    console = Console()
    if options.json:
        console.print_json(json.dumps(entries))
        return
    table = Table("height, pixels", "people", "bytes, median", "bytes, p95", "encode, us", "decode, us")
    for entry in entries:
        low, high = entry["height"]
        figures = (entry["people"], entry["bytes"]["median"], entry["bytes"]["p95"])
        times = (f"{entry['encode_us']:.0f}", f"{entry['decode_us']:.0f}")
        table.add_row(f"{low} to {high}", *(f"{value:.0f}" for value in figures), *times)
    console.print(table)


if __name__ == "__main__":
    main()
