"""Our configurations and the peers on one video, one after another, several rounds: medians and ratios of one run.

Usage: python -m benchmarks.peers VIDEO [--frames 200] [--rounds 3] [--threads 2] [--only NAME]... [--venvs FOLDER]
           [--ultralytics-weights FILE] [--json] [--results FOLDER]

Every peer comes from its own pip package in an environment of its own, which is made in FOLDER on the first run. One
that cannot be had is named and left out, with the reason. Everybody gets the same frames and the same cores, after a
rehearsal with one frame that does not count: conversions are kept.

rtmlib gets our weights (YOLOX-tiny and RTMPose-s, the ONNX files of the zoo); its detector looks at 416 x 416, the size
that the file was exported for, ours at 480 x 640. Ultralytics' yolo11n-pose runs at 640 x 640, its usual size, and at
960 x 1280, where it sees the people of `vtest.avi`. MediaPipe Pose looks for one person. So read the people first.

Ours with int8 need `peoplestream models calibrate` for the detector and the pose network before; without, they are left
out, and say so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.arguments import add_contest, count, existing_file, explained
from benchmarks.measure import CHAINS, CONFIGS, FailedError, medians, run, use_cores, write
from benchmarks.peer_environments import UnavailableError, environment, yolo11n_pose
from models.backends.openvino import OpenVINOBackend
from models.weights import fetch
from models.zoo import load_zoo

YARDSTICK = "rtmlib, OpenVINO"


@dataclass(frozen=True)
class Runner:
    """Makes the commands of all contenders.

    Attributes:
        venvs: folder of the peers' environments. weights: Ultralytics', None to fetch them.
    """

    video: Path
    frames: int
    venvs: Path
    weights: Path | None = None

    def ours(self, config: str, *settings: str, int8: bool = False) -> list[str | Path]:
        """A configuration of ours; see `arithmetic`."""
        changes = (*arithmetic(int8), *settings)
        return [sys.executable, CHAINS / "our_chain.py", *self._what(), CONFIGS / config, *changes]

    def rtmlib(self, backend: str, every: int = 1) -> list[str | Path]:
        """The peer rtmlib, with a detection every so many frames."""
        python = environment("rtmlib", self.venvs)
        return [python, CHAINS / "rtmlib_chain.py", *self._what(), *networks(), backend, str(every)]

    def ultralytics(self, height: int, width: int) -> list[str | Path]:
        """Ultralytics with the network's input of that size."""
        python, weights = environment("ultralytics", self.venvs), yolo11n_pose(self.venvs, self.weights)
        return [python, CHAINS / "ultralytics_chain.py", *self._what(), weights, str(height), str(width)]

    def mediapipe(self) -> list[str | Path]:
        """MediaPipe as it comes."""
        return [environment("mediapipe", self.venvs), CHAINS / "mediapipe_chain.py", *self._what()]

    def _what(self) -> tuple[str | Path, ...]:
        return self.video, str(self.frames)


CONTENDERS: dict[str, Callable[[Runner], list[str | Path]]] = {
    "rtmlib, ONNX Runtime": lambda of: of.rtmlib("onnxruntime"),
    YARDSTICK: lambda of: of.rtmlib("openvino"),
    "rtmlib, OpenVINO, detection every 10": lambda of: of.rtmlib("openvino", every=10),
    "Ultralytics yolo11n-pose, 640 x 640": lambda of: of.ultralytics(640, 640),
    "Ultralytics yolo11n-pose, 960 x 1280": lambda of: of.ultralytics(960, 1280),
    "MediaPipe Pose": lambda of: of.mediapipe(),
    "`accurate` without masks": lambda of: of.ours("accurate.yaml", "masks.model=null"),
    "`accurate` without masks, pose in float32": lambda of: of.ours(
        "accurate.yaml", "masks.model=null", "pose.precision=float32"
    ),
    "`balanced` without masks": lambda of: of.ours("balanced.yaml", "masks.model=null"),
    "`accurate`": lambda of: of.ours("accurate.yaml"),
    "`balanced`": lambda of: of.ours("balanced.yaml"),
    "`fast`": lambda of: of.ours("fast.yaml"),
    "`accurate` without masks, int8": lambda of: of.ours("accurate.yaml", "masks.model=null", int8=True),
    "`balanced`, int8": lambda of: of.ours("balanced.yaml", int8=True),
    "`fast`, int8": lambda of: of.ours("fast.yaml", int8=True),
}


def arithmetic(int8: bool) -> tuple[str, str]:
    """Settings for a detector and a pose network that were calibrated; or for the lowest precision of all others."""
    native = "bfloat16" if "bfloat16" in OpenVINOBackend().precisions() else "float32"
    precision = "int8" if int8 else native
    return f"detector.precision={precision}", f"pose.precision={precision}"


def networks() -> list[Path]:
    """The ONNX files that rtmlib and we share: the detector's and the pose network's."""
    return [fetch(load_zoo().entry(name)) for name in ("yolox-tiny-humanart", "rtmpose-s-halpe26")]


def against(yardstick: str, name: str, runs: Mapping[str, Sequence[Mapping[str, float]]]) -> list[float]:
    """Round by round how many times as fast `name` was as `yardstick`; nothing where one of them was left out."""
    pairs = zip(runs.get(name, ()), runs.get(yardstick, ()), strict=False)
    return [one["fps"] / other["fps"] for one, other in pairs]


def quiet(folder: Path) -> dict[str, str]:
    """What keeps Ultralytics from writing into the home folder and from asking servers."""
    return {"YOLO_CONFIG_DIR": str(folder), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}


def compete(
    commands: dict[str, Sequence[str | Path]], rounds: int, surroundings: dict[str, str], tell: Callable[[str], None]
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Everybody in turn, `rounds` times, each time beginning with another.

    Returns:
        The figures of every run by contender; and of those that failed, why.
    """
    figures: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
    left_out: dict[str, str] = {}
    for number in range(1, rounds + 1):
        turned = deque(commands)
        turned.rotate(-number)
        for name in [name for name in turned if name not in left_out]:
            tell(f"round {number} of {rounds}: {name}")
            try:
                figures[name].append(run(commands[name], surroundings))
            except FailedError as error:
                left_out[name] = str(error)
    return {name: runs for name, runs in figures.items() if name not in left_out}, left_out


@explained
def main() -> None:
    """Run everybody, and show or write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_contest(parser, CONTENDERS)
    parser.add_argument("--frames", type=count, default=200, help="frames that count, after 5 that warm up")
    parser.add_argument("--rounds", type=count, default=3)
    parser.add_argument("--ultralytics-weights", type=existing_file, help="yolo11n-pose.pt; without: fetched")
    options = parser.parse_args()
    notes = Console(stderr=True)
    runner = Runner(options.video.absolute(), options.frames, options.venvs.absolute(), options.ultralytics_weights)
    commands: dict[str, Sequence[str | Path]] = {}
    missing: dict[str, str] = {}
    for name in options.only or CONTENDERS:
        try:
            commands[name] = CONTENDERS[name](runner)
        except UnavailableError as error:
            missing[name] = str(error)
    surroundings = use_cores(options.threads) | quiet(runner.venvs)
    rehearsal = replace(runner, frames=1)
    first = {name: CONTENDERS[name](rehearsal) for name in commands}
    _, failed = compete(first, 1, surroundings, lambda what: notes.print(f"rehearsal: {what}"))
    commands = {name: command for name, command in commands.items() if name not in failed}
    runs, later = compete(commands, options.rounds, surroundings, notes.print)
    left_out = missing | failed | later
    for name, reason in left_out.items():
        notes.print(f"{name} is left out: {reason}", style="yellow")
    if not runs:
        raise FailedError("all were left out, for the reasons above")
    figures = {
        "video": options.video.name,
        "frames": options.frames,
        "rounds": options.rounds,
        "threads": options.threads,
        "rows": {name: medians(of) for name, of in runs.items()},
        "runs": runs,
        "left_out": left_out,
    }
    if options.results:
        notes.print(f"written to {write(options.results, 'peers', figures, options.quick)}")
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    else:
        show(figures)


def show(figures: dict[str, Any]) -> None:
    """The medians as a table."""
    table = Table(box=None, header_style="dim")
    for column in ("", "fps", "people a frame", f"times {YARDSTICK}", "peak MiB"):
        table.add_column(column, justify="right" if column else "left")
    rows = figures["rows"]
    for name, row in rows.items():
        ratios = against(YARDSTICK, name, figures["runs"])
        ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
        table.add_row(name, f"{row['fps']:.1f}", f"{row['people_per_frame']:.1f}", ratio, f"{row['peak_mib']:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
