"""Our tracker beside others: the same detections, the same run, accuracy and microseconds a frame.

    python -m benchmarks.tracker DATA [--rounds N] [--only NAME]... [--venvs FOLDER] [--json]

DATA holds sequences of MOT15: <sequence>/{gt/gt.txt,det/det.txt,seqinfo.ini}. Every tracker runs in a process of its
own, the peers from their own pip packages in environments of their own, which are made in FOLDER on the first run; one
that cannot be had is named and left out. Every tracker has one setting for all sequences: ours, and theirs by default.

What is timed is a tracker's `update` alone. The rounds of all trackers are interleaved, and of each frame the fastest
round counts, as other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.arguments import count, existing_folder, explained
from benchmarks.measure import CHAINS, ROOT, THREADS, FailedError
from benchmarks.peer_environments import UnavailableError, environment
from models.evaluate.mot import (
    MotRows,
    MotSequence,
    evaluate_mot,
    read_detections,
    read_ground_truth,
    read_sequence_info,
)

ENVIRONMENTS = {
    "peoplestream": None,
    "trackers ByteTrack": "trackers",
    "trackers BoT-SORT": "trackers",
    "trackers C-BIoU": "trackers",
    "norfair, IoU .7": "norfair",
    "norfair, IoU .9": "norfair",
    "supervision ByteTrack": "supervision",
    "boxmot ByteTrack": "boxmot",
    "boxmot OC-SORT": "boxmot",
    "classic SORT": "sort",
}
"""The trackers, and the environment that each runs in; None: this one."""

PUBLIC = "public"
CROWDS = (6, 12, 100)
"""People in the made-up scenes."""


@dataclass(frozen=True)
class Scene:
    """A sequence: the number of detections in each frame, the boxes [n, 4] and scores [n] of all; truth where known."""

    name: str
    fps: float
    counts: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    truth: MotRows | None = None

    def arrays(self) -> dict[str, np.ndarray]:
        """As the trackers read it."""
        parts = {"fps": np.array(self.fps), "counts": self.counts, "boxes": self.boxes, "scores": self.scores}
        return {f"{self.name}/{part}": values for part, values in parts.items()}


class Contender:
    """A tracker in its process, see `benchmarks/chains/tracker_chain.py`.

    Args:
        folder: where `detections.npz` lies, and where the process writes.

    Raises:
        UnavailableError: it does not run.
    """

    def __init__(self, name: str, python: Path, folder: Path, surroundings: dict[str, str]) -> None:
        command = [str(python), str(CHAINS / "tracker_chain.py"), name, str(folder / "detections.npz")]
        self._results, self._said = folder / "results.npz", folder / f"{name}.log"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=surroundings
            )
        self.name = f"{name} {self._answer()}".rstrip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def follow(self, group: str) -> dict[str, np.ndarray]:
        """What it makes of all sequences of a group: `ids`, `boxes`, their `counts` and the `seconds` by frame."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{group}\t{self._results}\n")
        self._process.stdin.flush()
        self._answer()
        with np.load(self._results) as results:
            return dict(results)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            said = self._said.read_text().strip().splitlines() or ["it says nothing"]
            raise UnavailableError(said[-1])
        return line.strip()


def read_scenes(folder: Path) -> list[Scene]:
    """All sequences in `folder`."""
    scenes = []
    for path in sorted(info.parent for info in folder.glob("*/seqinfo.ini")):
        info = read_sequence_info(path / "seqinfo.ini")
        frames = list(read_detections(path / "det/det.txt").per_frame(info.frames))
        truth = read_ground_truth(path / "gt/gt.txt")
        scenes.append(_scene(f"{PUBLIC}/{path.name}", info.fps, [(rows.boxes, rows.scores) for rows in frames], truth))
    if not scenes:
        raise SystemExit(f"{folder} holds no sequence: expected <sequence>/seqinfo.ini with det/det.txt and gt/gt.txt.")
    return scenes


def crowd(people: int, frames: int = 200) -> Scene:
    """People who walk across each other in all directions, 25 frames per second."""
    random = np.random.default_rng(0)
    start, speed = random.uniform(0, (1800, 900), (people, 2)), random.normal(0, 40, (people, 2))
    height = random.uniform(60, 200, people)
    size = np.stack([0.4 * height, height], axis=1)
    rows = []
    for frame in range(frames):
        corner = start + speed * frame / 25 + random.normal(0, 1, (people, 2))
        rows.append((np.concatenate([corner, corner + size], axis=1), random.uniform(0.5, 1, people)))
    return _scene(f"{people}/crowd", 25, rows)


def _scene(
    name: str, fps: float, frames: Sequence[tuple[np.ndarray, np.ndarray]], truth: MotRows | None = None
) -> Scene:
    boxes, scores = (np.concatenate(parts).astype(np.float32) for parts in zip(*frames, strict=True))
    return Scene(name, fps, np.array([len(scores) for _, scores in frames]), boxes, scores, truth)


def score(scenes: Sequence[Scene], results: dict[str, np.ndarray]) -> dict[str, Any]:
    """The accuracy over all scenes, and the HOTA and IDF1 of each."""
    ends = np.cumsum(results["counts"])[:-1]
    frames = list(zip(np.split(results["ids"], ends), np.split(results["boxes"], ends), strict=True))
    sequences, first = {}, 0
    for scene in scenes:
        assert scene.truth is not None
        count = len(scene.counts)
        sequences[scene.name] = MotSequence(scene.truth, MotRows.of(frames[first : first + count]), count)
        first += count
    single = {name: evaluate_mot(sequence) for name, sequence in sequences.items()}
    by_sequence = {name.partition("/")[2]: {"HOTA": of.HOTA, "IDF1": of.IDF1} for name, of in single.items()}
    return asdict(evaluate_mot(*sequences.values())) | {"by_sequence": by_sequence}


def compete(contenders: Sequence[Contender], scenes: Sequence[Scene], rounds: int) -> list[dict[str, Any]]:
    """The figures of everybody."""
    rows: list[dict[str, Any]] = [{"tracker": contender.name} for contender in contenders]
    for group in (PUBLIC, *map(str, CROWDS)):
        fastest: list[np.ndarray | float] = [np.inf] * len(contenders)
        for number in range(rounds):
            for n, contender in enumerate(contenders):
                results = contender.follow(group)
                fastest[n] = np.minimum(fastest[n], results["seconds"])
                if group == PUBLIC and not number:
                    rows[n] |= score(scenes, results)
        for row, seconds in zip(rows, fastest, strict=True):
            row[f"us_{group}"] = 1e6 * float(np.mean(seconds))
    return rows


def gather(
    stack: ExitStack, names: Sequence[str], venvs: Path, folder: Path, tell: Callable[[str], None]
) -> list[Contender]:
    """Everybody who can be had, in their processes, which end with `stack`."""
    surroundings, found = os.environ | dict.fromkeys(THREADS, "1"), []
    for name in names:
        home = ENVIRONMENTS[name]
        try:
            python = environment(home, venvs) if home else Path(sys.executable)
            ours = {"PYTHONPATH": "" if home else str(ROOT)}
            found.append(stack.enter_context(Contender(name, python, folder, surroundings | ours)))
        except UnavailableError as error:
            tell(f"{name} is left out: {error}")
    return found


@explained
def main() -> None:
    """Prints the table, or with --json the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=existing_folder, help="folder of MOT15 sequences")
    parser.add_argument("--rounds", type=count, default=3, help="timed runs of each tracker (default: 3)")
    parser.add_argument("--only", action="append", choices=ENVIRONMENTS, metavar="NAME", help="one of the trackers")
    parser.add_argument("--venvs", type=Path, default=Path(".peers"), help="where the environments are or will be")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    console, notes = Console(), Console(stderr=True)

    scenes = read_scenes(options.data)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        arrays: dict[str, Any] = {}
        for scene in (*scenes, *map(crowd, CROWDS)):
            arrays |= scene.arrays()
        np.savez(Path(folder) / "detections.npz", **arrays)
        names = options.only or list(ENVIRONMENTS)
        contenders = gather(stack, names, options.venvs.absolute(), Path(folder), notes.print)
        if not contenders:
            raise FailedError("all were left out, for the reasons above")
        rows = compete(contenders, scenes, options.rounds)
    if options.json:
        console.print_json(data=rows)
        return
    table = Table(
        "tracker",
        "HOTA",
        "MOTA",
        "IDF1",
        "switches",
        "us/frame",
        *(f"us, {n}" for n in CROWDS),
        title="us: microseconds a frame, at so many people",
    )
    for row in rows:
        accuracy = [f"{row[name]:.3f}" for name in ("HOTA", "MOTA", "IDF1")]
        times = [f"{value:.0f}" for name, value in row.items() if name.startswith("us_")]
        table.add_row(row["tracker"], *accuracy, str(row["id_switches"]), *times)
    console.print(table)


if __name__ == "__main__":
    main()
