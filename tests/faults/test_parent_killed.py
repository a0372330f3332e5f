"""The whole program is killed with SIGKILL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.faults.cameras import ROOT, Camera
from tests.faults.watching import children, is_alive, wait_until

PROGRAM = """
import sys
from stream.config import Config
from stream.pipeline import Pipeline
from tests.stream.graphs import assembly

streams = [{"id": f"cam{i}", "source": sys.argv[1]} for i in range(2)]
seen = set()

def show(result):
    seen.add(result.stream)
    if len(seen) == 2:
        print("running", flush=True)

with Pipeline(Config.model_validate({"streams": streams}), assembly=assembly(), on_result=show) as pipeline:
    pipeline.run()
"""


def test_decoders_and_their_memory_outlive_a_killed_parent(neighbour: Camera) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, neighbour.url], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    giving_up = threading.Timer(30, program.kill)
    giving_up.start()
    assert program.stdout is not None
    assert program.stdout.readline() == "running\n"
    giving_up.cancel()
    giving_up.join()
    decoders = children(program.pid)
    assert len(decoders) == 2 and all(map(_pictures, decoders))
    pictures = set().union(*map(_pictures, decoders))
    os.kill(min(decoders), signal.SIGSTOP)  # this one cannot even notice
    program.kill()
    program.wait()
    program.stdout.close()
    wait_until(lambda: not any(is_alive(pid) for pid in decoders), 3, "the end of the decoders")
    assert not any(pictures & _pictures(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _pictures(pid: int) -> set[str]:
    """The inodes of the memory for pictures that a process maps."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return set()
    return {line.split()[4] for line in maps if "memfd:peoplestream" in line}
