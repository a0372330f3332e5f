"""Everything that `benchmarks.report` shows: each benchmark's figures as JSON, in a folder named after this machine.

Usage: python -m benchmarks.run [NAME]... [--peers] [--quick] [--results FOLDER] [--venvs FOLDER] [--data FOLDER]

    decode, infer, pipeline, tracker, wire   stage by stage, as `peoplestream bench` measures it
    presets                                  what looking less often saves and costs: accuracy beside speed
    bookkeeping                              what follows the networks, step by step
    people, streams, resolution              how the cost grows
    peers, streams_held, memory, trackers    beside others, which `--peers` adds: it installs them, and takes long

The figures go to `benchmarks/results`, unless `--results` names another folder. `--quick` measures a little of
everything, to see that it works: such figures are good for nothing else, and go to `out/bench/results`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import curves
from benchmarks.arguments import existing_folder, writable_folder
from benchmarks.measure import CONFIGS, ROOT, write
from models.weights import fetch
from models.zoo import load_zoo
from stream.config import Config
from stream.measuring.bench import bench_decode, bench_infer, bench_pipeline, bench_tracker, bench_wire
from stream.measuring.comparison import compare
from stream.settings import load_config

PRESETS = ("accurate", "balanced", "fast")

NETWORKS = (
    (),
    ("masks.model=mobilesam",),
    ("detector.model=yolov3-tiny", "detector.height=608", "detector.width=608", "masks.model=eiseg-hrnet18"),
)
"""Changes of the configuration that bring the networks which are measured alone; the first are the defaults."""


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        frames: of a run of the pipeline. tracked: of a run of the tracker. configurations: how many of `NETWORKS`.
        compared: frames on which the presets are compared; None: the whole video, with its ground truth.
        data: folder of MOT15 sequences, where the ground truth is.
    """

    frames: int
    tracked: int
    configurations: int
    batches: tuple[int, ...]
    people: tuple[int, ...]
    streams: tuple[int, ...]
    seconds: float
    sizes: tuple[tuple[int, int], ...]
    rounds: int
    compared: int | None
    peers: dict[str, tuple[str, ...]]
    data: Path = Path("../shared/data/mot_dev")


FULL = Scope(
    frames=300,
    tracked=200,
    configurations=len(NETWORKS),
    batches=(1, 2, 4, 8),
    people=curves.PEOPLE,
    streams=curves.STREAMS,
    seconds=12.0,
    sizes=curves.SIZES,
    rounds=10,
    compared=None,
    peers={"peers": (), "streams_held": (), "memory": (), "trackers": ()},
)

QUICK = Scope(
    frames=16,
    tracked=20,
    configurations=1,
    batches=(1, 2),
    people=(1, 12),
    streams=(1, 4),
    seconds=2.0,
    sizes=((320, 240), (1280, 720)),
    rounds=1,
    compared=12,
    peers={
        "peers": ("--frames", "10", "--rounds", "1", "--quick"),
        "streams_held": ("--seconds", "2", "--warm", "1", "--attempts", "1", "--most", "1", "--quick"),
        "memory": ("--streams", "1,2", "--seconds", "1", "--quick"),
        "trackers": ("--rounds", "1"),
    },
)


def video() -> Path:
    """The demo's video of a car park with five or six people."""
    return fetch(load_zoo().find("vtest"))


def infer(scope: Scope) -> dict[str, Any]:
    """The networks alone, by "model/part"."""
    networks: dict[str, Any] = {}
    for settings in NETWORKS[: scope.configurations]:
        config = load_config(None, settings, ["testpattern://640x480@25"])
        for role, of in bench_infer(config, scope.batches)["networks"].items():
            networks.setdefault(f"{of['model']}/{role.partition('/')[2]}", of)
    return {"networks": networks}


def pipeline(scope: Scope) -> dict[str, Any]:
    """The presets on a video, each beside its networks alone."""
    return {preset: bench_pipeline(configure(preset), stop_after(scope.frames))[1] for preset in PRESETS}


def presets(scope: Scope) -> dict[str, Any]:
    """The presets beside the first of them, frame by frame, on the video that is also MOT15's PETS09-S2L1."""
    truth = scope.data / "PETS09-S2L1" / "gt" / "gt.txt" if scope.compared is None else None
    if truth is not None and not truth.exists():
        raise FileNotFoundError(f"no ground truth in {truth}: --data names the folder with MOT15's sequences")
    with tempfile.TemporaryDirectory() as folder:
        watched = video()
        if scope.compared is not None:
            watched = Path(folder) / "clip.mp4"
            curves.scale(video(), watched, (768, 576), scope.compared)
        configs = {preset: load_config(CONFIGS / f"{preset}.yaml", [], [str(watched)]) for preset in PRESETS}
        return {"rows": [row.as_json() for row in compare(configs, truth)]}


def stop_after(frames: int) -> Callable[[Any], None]:
    """Ends a run that has delivered so many frames, when it is called with its pipeline."""

    def look(pipeline: Any) -> None:
        if sum(state.delivered for state in pipeline.streams.values()) >= frames:
            pipeline.stop()

    return look


def configure(preset: str = "accurate") -> Config:
    """A preset, on the video."""
    return load_config(CONFIGS / f"{preset}.yaml", [], [str(video())])


BENCHMARKS: dict[str, Callable[[Scope], dict[str, Any]]] = {
    "decode": lambda scope: bench_decode(configure(), scope.frames),
    "infer": infer,
    "pipeline": pipeline,
    "tracker": lambda scope: bench_tracker(configure(), frames=scope.tracked),
    "wire": lambda _: bench_wire(),
    "bookkeeping": lambda scope: {"by_people": printed("bookkeeping", "--rounds", str(scope.rounds))},
    "presets": presets,
    "people": lambda scope: curves.people(video(), scope.people),
    "streams": lambda scope: curves.streams(video(), scope.streams, scope.seconds),
    "resolution": lambda scope: curves.resolution(video(), scope.sizes, scope.frames // 3),
}
PEERS = ("peers", "streams_held", "memory", "trackers")

LIMIT = 3600.0
"""Seconds that a program of its own may take."""


def main() -> None:
    """Run what was asked for; what fails is named, and the others are run all the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="these alone")
    parser.add_argument("--peers", action="store_true", help="those that run peers as well")
    parser.add_argument("--quick", action="store_true", help="a trial, which leaves benchmarks/results alone")
    parser.add_argument("--results", type=writable_folder, help="else benchmarks/results; a trial: out/bench/results")
    parser.add_argument("--venvs", type=Path, default=Path(".peers"))
    parser.add_argument("--data", type=existing_folder, default=FULL.data, help="sequences of MOT15")
    options = parser.parse_args()
    if unknown := set(options.names) - {*BENCHMARKS, *PEERS}:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join([*BENCHMARKS, *PEERS])}")
    options.results = options.results or ROOT / ("out/bench/results" if options.quick else "benchmarks/results")
    scope = replace(QUICK if options.quick else FULL, data=options.data)
    console = Console(stderr=True)
    failed = []
    for name in options.names or [*BENCHMARKS, *(PEERS if options.peers else ())]:
        console.print(f"[bold]{name}[/] ...")
        try:
            if name in PEERS:
                beside_others(name, options, scope.peers[name])
            else:
                write(options.results, name, BENCHMARKS[name](scope), options.quick)
        except Exception as error:
            console.print(f"{name} failed: {error}", style="red")
            failed.append(name)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


def beside_others(name: str, options: argparse.Namespace, arguments: tuple[str, ...]) -> None:
    """Run a benchmark that is a program of its own: it keeps itself to some cores."""
    venvs = ("--venvs", str(options.venvs.absolute()))
    if name == "trackers":
        rows = printed("tracker", str(options.data.absolute()), *arguments, *venvs)
        write(options.results, name, {"rows": rows}, options.quick)
        return
    folders = (*venvs, "--results", str(options.results.absolute()))
    command = [sys.executable, "-m", f"benchmarks.{name}", str(video()), *arguments, *folders]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=2 * LIMIT)


def printed(program: str, *arguments: str) -> Any:
    """What a benchmark prints with `--json`."""
    command = [sys.executable, "-m", f"benchmarks.{program}", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, timeout=LIMIT).stdout)


if __name__ == "__main__":
    main()
