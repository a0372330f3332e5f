"""Programs that are measured: run one after another on the same cores, with the memory of all their processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.machine import machine

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
CHAINS = ROOT / "benchmarks" / "chains"
PROC = Path("/proc")

LIMIT = 1800.0
"""Seconds after which a program is given up."""

LOOK_EVERY = 2.0
"""Seconds between two looks at the memory. A look halts what it looks at: four a second took a tenth of our speed."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


FOLDERS = ("--results", "--venvs", "--data", "--ultralytics-weights")
"""Options of the benchmarks that name a place on this machine."""


class FailedError(Exception):
    """A program that did not bring figures; the text says why."""


def use_cores(count: int) -> dict[str, str]:
    """Keep this process and all that it starts to `count` cores; returns the environment that says so to libraries.

    The cores decide: a library that asks the environment, the system or nobody gets no more than the others.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    return os.environ | dict.fromkeys(THREADS, str(count)) | {"PYTHONPATH": str(ROOT)}


def run(
    command: Sequence[str | Path], environment: dict[str, str], limit: float = LIMIT, look_every: float = LOOK_EVERY
) -> dict[str, Any]:
    """Run a program that prints its figures as JSON in its last line.

    Returns:
        These figures, with `peak_mib` and `steady_mib`, see `Memory`.

    Raises:
        FailedError: it failed, took longer than `limit` seconds, or printed no figures.
    """
    name = Path(command[1]).stem if len(command) > 1 else str(command[0])
    process = subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    memory = Memory(process.pid, look_every)
    watch = threading.Thread(target=memory.watch, args=(process,))
    watch.start()
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{name} was not done in {limit:.0f} s") from None
    finally:
        process.kill()
        process.wait()
        watch.join()
    if process.returncode:
        reason = [line for line in errors.splitlines() if line.strip()][-1:] or ["it says nothing"]
        raise FailedError(f"{name} ended with {process.returncode}: {reason[0].strip()}")
    try:
        figures: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        raise FailedError(f"{name} printed no figures") from None
    return figures | {"peak_mib": round(memory.peak_mib, 1), "steady_mib": round(memory.steady_mib, 1)}


@dataclass
class Memory:
    """The memory of a process and of those that it has started.

    `peak_mib` is the larger of two: the most that the process itself ever held (VmHWM, which misses no peak), and the
    largest sum over all processes seen, of proportional shares (PSS), so that what they share is counted once.
    `steady_mib` is the median of the sums of the last half of the looks, when whatever it does is under way.
    """

    pid: int
    look_every: float = LOOK_EVERY
    sums: list[float] = field(default_factory=list)
    highest: float = 0.0

    @property
    def peak_mib(self) -> float:
        return max(self.highest, *self.sums, 0.0)

    @property
    def steady_mib(self) -> float:
        return statistics.median(self.sums[len(self.sums) // 2 :]) if self.sums else 0.0

    def watch(self, process: subprocess.Popen[str]) -> None:
        """Look until the process has ended."""
        while process.poll() is None:
            self.look()
            time.sleep(self.look_every)

    def look(self) -> None:
        """Take one sample; a process that ends meanwhile is left out of it."""
        self.highest = max(self.highest, _mib(PROC / str(self.pid) / "status", "VmHWM"))
        shares = [_mib(PROC / str(pid) / "smaps_rollup", "Pss") for pid in family(self.pid)]
        if any(shares):
            self.sums.append(sum(shares))


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for status in PROC.glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def _mib(file: Path, key: str) -> float:
    """The value of `key`, in kB in the file, in MiB; 0 where there is none any more."""
    try:
        match = re.search(rf"^{key}:\s+(\d+) kB$", file.read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(match[1]) / 1024 if match else 0.0


def medians(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each figure the median of all runs."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def slug(facts: dict[str, Any]) -> str:
    """A folder's name for a machine: its processor and how many cores of it may be used."""
    processor = re.sub(r"\(R\)|\(TM\)|\b(CPU|Processor)\b|@.*", " ", str(facts["processor"]))
    return "-".join([*re.findall(r"[a-z0-9][a-z0-9.]*", processor.lower()), f"{facts['cores']}-cores"])


def write(folder: Path, name: str, figures: dict[str, Any], quick: bool = False) -> Path:
    """Write figures to `folder`/<machine>/`name`.json, with the machine and the command; returns the file."""
    facts = machine()
    file = folder / slug(facts) / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    command = shown_command(sys.argv)
    about = {"measured": time.strftime("%Y-%m-%d"), "command": command, "quick": quick, "machine": facts}
    file.write_text(json.dumps(about | {"figures": figures}, indent=1) + "\n", encoding="utf-8")
    return file


def shown_command(argv: Sequence[str]) -> str:
    """A command as others would give it: of a file its name alone, and nothing of this machine's folders."""
    words, skip = ["python", "-m", f"benchmarks.{Path(argv[0]).stem}"], False
    for word in argv[1:]:
        if skip or word in FOLDERS:
            skip = not skip
        else:
            words.append(Path(word).name if "/" in word else word)
    return shlex.join(words)
