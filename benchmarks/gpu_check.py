"""Everything that is claimed of an NVIDIA GPU, checked on one: a single command, under ten minutes, one JSON file.

Usage: python -m benchmarks.gpu_check [--out out/gpu_check.json] [--weights FOLDER] [--images FOLDER] [--latency-ms 150]
           [--minutes 9.5] [--only NAME]...

It needs no network. Weights are those of the cache, or of FOLDER, which is laid out as the cache is (`peoplestream
models pull` fills it) and where engines are kept then; without weights, speed is measured with random ones, and parity
is that of the outputs alone.

Each check is "pass", "fail" or "unavailable", with a reason in one sentence and its figures; each runs in a process of
its own with a limit of its own, and the GPU's clocks, and what held them down, are noted before and after it. Exit code
0 where none failed. Without a GPU all are unavailable, each for its real reason.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.arguments import existing_folder, explained, positive, writable_file
from benchmarks.gpu.checks import checks
from benchmarks.gpu.outcome import Outcome, Setting
from benchmarks.gpu.supervise import attempt, supervised, write
from models.machine import machine
from models.weights import CACHE_VARIABLE

COLOURS = {"pass": "green", "fail": "red", "unavailable": "yellow"}


@explained
def main() -> int:
    """Run the checks; returns the exit code."""
    given = _parser().parse_args()
    if given.weights is not None:
        os.environ[CACHE_VARIABLE] = str(given.weights.absolute())
    wanted = [check for check in checks() if not given.only or check.name in given.only]
    if given.folder is not None:
        write(attempt(wanted[0], Setting(given.folder, given.images, given.latency_ms)), given.out)
        return 0
    began, when = time.monotonic(), datetime.now(UTC)
    outcomes: list[Outcome] = []
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        for number, check in enumerate(wanted):
            answer = Path(folder) / f"{number}.json"
            program = _program(check.name, answer, Path(folder), given)
            outcomes.append(supervised(check, program, answer, 60 * given.minutes - (time.monotonic() - began)))
            _show(console, outcomes[-1])
    report = _report(outcomes, when, time.monotonic() - began)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    console.print(f"{report['counts']}; wrote {given.out}")
    return 1 if report["counts"]["fail"] else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu_check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=writable_file, default="out/gpu_check.json", help="where the JSON goes")
    parser.add_argument("--weights", type=existing_folder, help="a cache to take the weights from")
    parser.add_argument("--images", type=existing_folder, help="photographs of people for parity; without: drawn ones")
    parser.add_argument("--latency-ms", type=positive, default=150.0, help="limit of the p95 in the sweep")
    parser.add_argument("--minutes", type=positive, default=9.5, help="for all checks together")
    names = [check.name for check in checks()]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help="this check alone")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # given to the process of a single check
    return parser


def _program(name: str, answer: Path, folder: Path, given: argparse.Namespace) -> list[str]:
    """The arguments of a Python that runs one check."""
    own = ["-m", "benchmarks.gpu_check", "--only", name, "--out", str(answer), "--folder", str(folder)]
    images = [] if given.images is None else ["--images", str(given.images.absolute())]
    return [*own, *images, "--latency-ms", str(given.latency_ms)]


def _report(outcomes: list[Outcome], when: datetime, seconds: float) -> dict[str, Any]:
    counts = Counter[str](outcome.result for outcome in outcomes)
    return {
        "when": when.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "counts": {result: counts[result] for result in COLOURS},
        "checks": [asdict(outcome) for outcome in outcomes],
    }


def _show(console: Console, outcome: Outcome) -> None:
    colour = COLOURS[outcome.result]
    console.print(
        f"[{colour}]{outcome.result:<11}[/]  {outcome.name:<22} {outcome.seconds:6.1f} s  {outcome.reason}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
