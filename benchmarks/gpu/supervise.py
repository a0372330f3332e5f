"""Each check in a process of its own: one that crashes, hangs or takes all memory ends itself and no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.outcome import Check, FailedError, Outcome, Setting
from models.nvidia_smi import SmiUnavailableError, gpu_states

ROOT = Path(__file__).parents[2]


def attempt(check: Check, setting: Setting) -> Outcome:
    """Run a check in this process."""
    began = time.monotonic()
    missing = check.missing()
    if missing is not None:
        return Outcome(check.name, "unavailable", missing)
    try:
        figures = check.run(setting)
    except FailedError as error:
        return Outcome(check.name, "fail", str(error), error.figures, time.monotonic() - began)
    except Exception as error:  # whatever it is, it is this check's own
        return Outcome(check.name, "fail", _sentence(error), {}, time.monotonic() - began)
    return Outcome(check.name, "pass", "", figures, time.monotonic() - began)


def supervised(check: Check, program: Sequence[str], answer: Path, left: float) -> Outcome:
    """Run a check in another process.

    Args:
        check: which; one that misses something is not started.
        program: arguments of a Python that `attempt`s it and writes the outcome to `answer` as JSON.
        answer: a file that is not there yet.
        left: seconds that may be used; less than the check's own limit counts.
    """
    missing = check.missing()
    if missing is not None:
        return Outcome(check.name, "unavailable", missing)
    if left <= 0:
        return Outcome(check.name, "unavailable", "the time for all checks was used up before it")
    limit = min(check.limit, left)
    before, began = clocks(), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, *program],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return Outcome(
            check.name, "fail", f"took more than its {limit:.0f} seconds", {}, limit, _around(before, clocks())
        )
    seconds, around = time.monotonic() - began, _around(before, clocks())
    if not answer.is_file():
        lines = said.strip().splitlines()
        reason = f"ended with code {process.returncode}: {lines[-1] if lines else 'it said nothing'}"
        return Outcome(check.name, "fail", reason, {}, seconds, around)
    return Outcome(**{**json.loads(answer.read_text()), "seconds": round(seconds, 2), "gpu": around})


def write(outcome: Outcome, path: Path) -> None:
    """Write an outcome for `supervised` to read, whole or not at all."""
    half = path.with_suffix(".half")
    half.write_text(json.dumps(asdict(outcome)))
    half.rename(path)


def clocks() -> list[dict[str, Any]]:
    """Clocks, temperature, power and what holds them down, of every GPU; empty where nobody tells."""
    try:
        return [asdict(state) for state in gpu_states()]
    except SmiUnavailableError:
        return []


def _around(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> dict[str, Any]:
    return {"before": before, "after": after}


def _sentence(error: Exception) -> str:
    first = str(error).strip().splitlines()
    return f"{type(error).__name__}: {first[0] if first else 'without a word'}"
