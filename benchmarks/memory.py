"""The memory of one stream and of every further one, ours and the best peer's, from files and from cameras (RTSP).

Usage: python -m benchmarks.memory VIDEO [--streams 1,2,4,8] [--seconds 10] [--only NAME]... [--threads 2]
           [--venvs FOLDER] [--json] [--results FOLDER]

What is counted is said in `benchmarks.measure.Memory`: the peak of the whole run, from its start on, over all its
processes. The cameras run in processes of their own, which are not counted: one serves all streams, and sends the first
100 frames of the video in a loop, 10 a second. Everybody runs once before, so that what is converted once is converted.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import add_contest, counts, explained, positive
from benchmarks.measure import CHAINS, FailedError, run, use_cores, write
from benchmarks.peer_environments import UnavailableError
from benchmarks.streams_held import CONTENDERS, frame_rate, ours

WARM = "3"
"""Seconds before the frames count; the memory always does."""

CAMERA_FRAMES, CAMERA_FPS = "100", "10"
CAMERA_START = 90.0
"""Seconds that it may take to start."""

MEASURED = {name: CONTENDERS[name] for name in ("`balanced`", "rtmlib, OpenVINO")} | {
    "`balanced` without masks": ours("balanced.yaml", "masks.model=null")
}


@contextmanager
def camera(video: Path) -> Iterator[str]:
    """A camera that shows the video; gives its address.

    Raises:
        FailedError: it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command: list[str | Path] = [sys.executable, CHAINS / "camera.py", video, CAMERA_FRAMES, CAMERA_FPS, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], CAMERA_START)[0]:
            raise FailedError(f"the camera was not ready within {CAMERA_START:.0f} s")
        if process.stdout.readline() != "ready\n":
            raise FailedError("the camera has ended before it was ready, for the reason above")
        yield f"rtsp://127.0.0.1:{port}/cam"
    finally:
        process.kill()
        process.communicate()


def each_further(rows: Sequence[dict[str, Any]]) -> float | None:
    """MiB that every stream after the first one needs: the slope between the fewest and the most; None for one row."""
    first, last = min(rows, key=lambda row: row["streams"]), max(rows, key=lambda row: row["streams"])
    if first["streams"] == last["streams"]:
        return None
    grown: float = last["peak_mib"] - first["peak_mib"]
    return grown / int(last["streams"] - first["streams"])


@explained
def main() -> None:
    """Measure, and show or write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest(parser, MEASURED)
    parser.add_argument("--streams", type=counts, default="1,2,4,8")
    parser.add_argument("--seconds", type=positive, default=10.0)
    options = parser.parse_args()
    notes, video = Console(stderr=True), options.video.absolute()
    surroundings, times = use_cores(options.threads), (WARM, str(options.seconds), str(frame_rate(options.video)))
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    left_out: dict[str, str] = {}
    with camera(video) as address:
        for name in options.only or MEASURED:
            try:
                run(MEASURED[name](options.venvs.absolute(), ("0", "1", times[2]), [str(video)]), surroundings)
                for kind, source in (("file", str(video)), ("camera", address)):
                    for count in options.streams:
                        command = MEASURED[name](options.venvs.absolute(), times, [source] * count)
                        figures = run(command, surroundings, look_every=0.25) | {"streams": count}
                        rows.setdefault(name, {}).setdefault(kind, []).append(figures)
                        notes.print(f"{name}, {count} x {kind}: {figures['peak_mib']:.0f} MiB", highlight=False)
            except (UnavailableError, FailedError) as error:
                left_out[name] = str(error)
                notes.print(f"{name} is left out: {error}", style="yellow")
    if not rows:
        raise FailedError("all were left out, for the reasons above")
    figures = {
        "video": options.video.name,
        "threads": options.threads,
        "rows": rows,
        "each_further_mib": {
            name: {kind: each_further(of) for kind, of in kinds.items()} for name, kinds in rows.items()
        },
        "left_out": left_out,
    }
    if options.results:
        notes.print(f"written to {write(options.results, 'memory', figures, options.quick)}")
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    table = Table("", "", *map(str, options.streams), "each further", box=None, header_style="dim")
    for name, kinds in rows.items():
        for kind, of in kinds.items():
            slope = each_further(of)
            peaks = [f"{row['peak_mib']:.0f}" for row in of]
            table.add_row(name, kind, *peaks, "-" if slope is None else f"{slope:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
