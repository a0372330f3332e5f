"""How many live streams this machine holds: ours and the best peer, on one more stream at a time until one fails.

Usage: python -m benchmarks.streams_held VIDEO [--seconds 25] [--warm 8] [--attempts 2] [--most 12] [--only NAME]...
           [--threads 2] [--venvs FOLDER] [--json] [--results FOLDER]

Every stream is the video, played in real time and in a loop, of which up to four frames may wait; they begin one
after the other, since cameras are not in step either. A number of streams is held when, for so many seconds after a
warm-up, no frame was dropped, 95 % of the frames were out within 500 ms of their capture, and every frame that was
due came out. It fails when it was not held in any of the attempts: what else the machine does can only make it worse.
Ours has ids and masks, rtmlib has neither.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import add_contest, count, explained, not_negative, positive
from benchmarks.measure import CHAINS, CONFIGS, FailedError, run, use_cores, write
from benchmarks.peer_environments import UnavailableError, environment
from benchmarks.peers import arithmetic, networks

P95_MS = 500.0
"""Within so many milliseconds of their capture 95 % of the frames have to be out."""

ARRIVED = 0.98
"""Share of the frames that were due that has to come out: the stretch begins and ends between two of them."""

Command = list[str | Path]


def ours(config: str, *settings: str, int8: bool = False) -> Callable[[Path, Sequence[str], Sequence[str]], Command]:
    """Makes the command that runs a configuration of ours on some sources; see `benchmarks.peers.arithmetic`."""
    changes = [word for setting in (*arithmetic(int8), *settings) for word in ("--set", setting)]
    chain: Command = [sys.executable, CHAINS / "our_streams.py"]
    return lambda _, times, sources: [*chain, *times[:2], CONFIGS / config, *sources, *changes]


def rtmlib(every: int) -> Callable[[Path, Sequence[str], Sequence[str]], Command]:
    """Makes the command that runs rtmlib on OpenVINO, with a detection every so many frames."""
    chain = CHAINS / "rtmlib_streams.py"

    def command(venvs: Path, times: Sequence[str], sources: Sequence[str]) -> Command:
        return [environment("rtmlib", venvs), chain, *times, *networks(), "openvino", str(every), *sources]

    return command


CONTENDERS = {
    "`balanced`": ours("balanced.yaml"),
    "`fast`": ours("fast.yaml"),
    "`balanced`, int8": ours("balanced.yaml", int8=True),
    "`fast`, int8": ours("fast.yaml", int8=True),
    "rtmlib, OpenVINO": rtmlib(1),
    "rtmlib, OpenVINO, detection every 10": rtmlib(10),
}


def held(figures: dict[str, Any], fps: float) -> bool:
    """Whether all streams, each of `fps` frames per second, were held."""
    arrived, in_time = figures["fps"] >= ARRIVED * fps, figures.get("p95_ms", float("inf")) < P95_MS
    return bool(arrived and in_time and figures["dropped"] == 0)


def climb(attempt: Callable[[int], dict[str, Any]], fps: float, attempts: int, most: int) -> list[dict[str, Any]]:
    """One stream more at a time, until a number of them is not held in any attempt; the figures of every attempt.

    Whoever fails altogether with more than one stream was overloaded, and has not held them.

    Raises:
        FailedError: it fails with a single stream.
    """
    all_figures: list[dict[str, Any]] = []
    for streams in range(1, most + 1):
        for _ in range(attempts):
            try:
                figures = attempt(streams)
            except FailedError as error:
                if streams == 1:
                    raise
                figures = {"fps": 0.0, "dropped": 0, "failed": str(error)}
            all_figures.append(figures | {"streams": streams, "held": held(figures, fps)})
            if all_figures[-1]["held"]:
                break
        else:
            return all_figures
    return all_figures


def most_held(attempts: Sequence[dict[str, Any]]) -> int:
    """The largest number of streams that was held."""
    return max((figures["streams"] for figures in attempts if figures["held"]), default=0)


def frame_rate(video: Path) -> float:
    """Frames per second of a video."""
    with av.open(str(video)) as container:
        return float(container.streams.video[0].average_rate or 0)


@explained
def main() -> None:
    """Find the numbers, and show or write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest(parser, CONTENDERS)
    parser.add_argument("--seconds", type=positive, default=25.0)
    parser.add_argument("--warm", type=not_negative, default=8.0)
    parser.add_argument("--attempts", type=count, default=2)
    parser.add_argument("--most", type=count, default=12)
    options = parser.parse_args()
    notes, video, fps = Console(stderr=True), str(options.video.absolute()), frame_rate(options.video)
    surroundings, times = use_cores(options.threads), (str(options.warm), str(options.seconds), str(fps))
    contenders: dict[str, list[dict[str, Any]]] = {}
    left_out: dict[str, str] = {}
    for name in options.only or CONTENDERS:

        def attempt(streams: int, name: str = name) -> dict[str, Any]:
            figures = run(CONTENDERS[name](options.venvs.absolute(), times, [video] * streams), surroundings)
            notes.print(f"{name}, {streams} streams: {shown(figures)}", highlight=False)
            return figures

        try:
            contenders[name] = climb(attempt, fps, options.attempts, options.most)
        except (UnavailableError, FailedError) as error:
            left_out[name] = str(error)
            notes.print(f"{name} is left out: {error}", style="yellow")
    if not contenders:
        raise FailedError("all were left out, for the reasons above")
    figures = {
        "video": options.video.name,
        "fps": fps,
        "seconds": options.seconds,
        "warm": options.warm,
        "threads": options.threads,
        "held": {name: most_held(of) for name, of in contenders.items()},
        "attempts": contenders,
        "left_out": left_out,
    }
    if options.results:
        notes.print(f"written to {write(options.results, 'streams_held', figures, options.quick)}")
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    table = Table("", "streams held", box=None, header_style="dim")
    for name, number in figures["held"].items():
        table.add_row(name, str(number))
    Console().print(table)


def shown(figures: dict[str, Any]) -> str:
    """An attempt in a line."""
    late = f"p95 {figures['p95_ms']:.0f} ms" if "p95_ms" in figures else "nothing came"
    return f"{figures['fps']:.1f} fps each, {late}, {figures['dropped']} dropped, peak {figures['peak_mib']:.0f} MiB"


if __name__ == "__main__":
    main()
