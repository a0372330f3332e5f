"""What a process and its decoders hold of the machine, sampled from outside, and whether that grows."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

from tests.faults.watching import children


@dataclass(frozen=True, slots=True)
class Sample:
    """What was held at a moment (`time.monotonic`).

    Attributes:
        main: resident memory, MiB; decoders: that of all processes it has started.
        descriptors, threads, maps: of the main process: how many.
        processes: started and not reaped.
        shared: segments of pictures that it maps.
    """

    at: float
    main: float
    decoders: float
    descriptors: int
    threads: int
    maps: int
    processes: int
    shared: int

    @staticmethod
    def of(pid: int) -> Sample:
        """Look at a process."""
        started = children(pid)
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        return Sample(
            at=time.monotonic(),
            main=resident(pid),
            decoders=sum(map(resident, started)),
            descriptors=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
            threads=sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()),
            maps=len(maps),
            processes=len(started),
            shared=sum("memfd:peoplestream" in line for line in maps),
        )


NAMES = tuple(field.name for field in fields(Sample))[1:]


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """How much more is held at the end than at the beginning, by the slope that most pairs of samples agree on.

    The Theil-Sen estimator: a sample that was taken in the middle of a fault bends it little.
    """
    table = np.array([astuple(sample) for sample in samples], float)
    at, values = table[:, 0], table[:, 1:]
    return {name: float(theilslopes(values[:, i], at).slope * (at[-1] - at[0])) + 0.0 for i, name in enumerate(NAMES)}


def table(samples: Sequence[Sample]) -> str:
    """The samples for a person: what was held at first, at last, at most, and the growth by slope."""
    slopes = growth(samples)
    rows = [f"{'':12}{'first':>9}{'last':>9}{'most':>9}{'growth':>9}"]
    for name in NAMES:
        values = [getattr(sample, name) for sample in samples]
        rows.append(f"{name:12}{values[0]:9.1f}{values[-1]:9.1f}{max(values):9.1f}{slopes[name]:9.2f}")
    return "\n".join(rows)


def settled(pid: int, processes: int, within: float = 5.0) -> Sample:
    """A sample from when there are so many `processes`, and nothing has come or gone for half a second."""
    deadline = time.monotonic() + within
    last, since = Sample.of(pid), time.monotonic()
    while time.monotonic() - since < 0.5 or last.processes != processes:
        assert time.monotonic() < deadline, f"not settled within {within:g} s: {last}"
        time.sleep(0.05)
        now = Sample.of(pid)
        if (now.descriptors, now.threads, now.processes) != (last.descriptors, last.threads, last.processes):
            since = time.monotonic()
        last = now
    return last


def resident(pid: int) -> float:
    """Memory of a process, MiB; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):  # gone meanwhile
        return 0.0
