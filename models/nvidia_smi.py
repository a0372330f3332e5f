"""What NVIDIA's own tool tells of the GPUs: their driver, clocks and what holds these down."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

TIMEOUT = 10.0
"""Seconds that it may take: the first call after a start loads the driver."""

_FIELDS = (
    "name",
    "driver_version",
    "memory.total",
    "clocks.sm",
    "clocks.max.sm",
    "clocks.mem",
    "temperature.gpu",
    "power.draw",
    "power.limit",
)

_REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""One field, by its name since driver 535 and before."""

_SLOWED: dict[int, str] = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""NVML's nvmlClocksEventReasons that hold a busy GPU down; idleness and clocks that somebody has set are none."""


class SmiUnavailableError(Exception):
    """The tool is not here or tells nothing; one sentence saying why."""


@dataclass(frozen=True, slots=True)
class GPUState:
    """One GPU at one moment.

    Attributes:
        name, driver: as the tool gives them. memory_mib: in all.
        sm_mhz, sm_max_mhz, memory_mhz: clocks. celsius: temperature. watts, watts_limit: power.
        slowed: what holds its clocks down now. None stands for what the tool does not tell.
    """

    name: str
    driver: str
    memory_mib: float | None
    sm_mhz: float | None
    sm_max_mhz: float | None
    memory_mhz: float | None
    celsius: float | None
    watts: float | None
    watts_limit: float | None
    slowed: tuple[str, ...] | None


def gpu_states() -> list[GPUState]:
    """Every GPU of this machine, in the tool's order.

    Raises:
        SmiUnavailableError: see there.
    """
    rows = _ask(_FIELDS)
    for field in _REASONS:
        try:
            reasons = [_slowed(row[0]) for row in _ask((field,))]
        except SmiUnavailableError:
            continue
        return [_state(row, slowed) for row, slowed in zip(rows, reasons, strict=True)]
    return [_state(row, None) for row in rows]


def _state(row: list[str], slowed: tuple[str, ...] | None) -> GPUState:
    memory, sm, sm_max, of_memory, celsius, watts, limit = map(_number, row[2:])
    return GPUState(row[0], row[1], memory, sm, sm_max, of_memory, celsius, watts, limit, slowed)


def _ask(fields: tuple[str, ...]) -> list[list[str]]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        raise SmiUnavailableError("there is no nvidia-smi here, so no NVIDIA driver is installed")
    command = [tool, f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SmiUnavailableError(f"nvidia-smi does not answer ({type(error).__name__})") from error
    rows = [[text.strip() for text in line.split(",")] for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode or not rows or any(len(row) != len(fields) for row in rows):
        said = (answer.stdout + answer.stderr).strip().splitlines()
        raise SmiUnavailableError(f"nvidia-smi fails: {said[0] if said else 'it says nothing'}")
    return rows


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:  # "[N/A]", "[Not Supported]"
        return None


def _slowed(text: str) -> tuple[str, ...] | None:
    try:
        active = int(text, 16)
    except ValueError:
        return None
    return tuple(reason for bit, reason in _SLOWED.items() if active & bit)
