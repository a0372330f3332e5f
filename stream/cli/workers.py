"""One `peoplestream run` per GPU under one parent, which deals the streams out and ends with the last of them."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from rich.console import Console

from models.backends.nvidia import has_driver
from stream.cli.errors import CommandError, ExitCode
from stream.config import Config
from stream.sharding import shard

log = logging.getLogger(__name__)

_TICK = 0.2
"""Seconds between two looks at the workers."""

_PR_SET_PDEATHSIG = 1


_CODES = frozenset(int(code) for code in ExitCode)


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """A process that runs a part of the streams on one GPU; `name` is as in `names`."""

    name: str
    process: subprocess.Popen[str]
    printed: IO[str]

    def summary(self) -> dict[str, Any] | None:
        """What it has printed; None where that is no summary."""
        self.printed.seek(0)
        try:
            summary: dict[str, Any] = json.load(self.printed)
        except ValueError:
            return None
        return summary


def parse_gpus(text: str) -> list[str]:
    """Numbers of GPUs, as the driver counts them, one for each worker: "0,1,3"; "0,0" for two on one GPU.

    Raises:
        CommandError: something else.
    """
    gpus = [part.strip() for part in text.split(",")]
    if not all(gpu.isdecimal() for gpu in gpus):
        raise CommandError(f"--gpus {text}: give a GPU's number for each worker, such as 0,1", ExitCode.USAGE)
    return [str(int(gpu)) for gpu in gpus]


def names(gpus: Sequence[str]) -> list[str]:
    """What the workers on these GPUs are called: by the GPU, and where it has several, "0.1", "0.2"."""
    return [gpu if gpus.count(gpu) == 1 else f"{gpu}.{gpus[: index + 1].count(gpu)}" for index, gpu in enumerate(gpus)]


def parse_shard(text: str) -> tuple[int, int]:
    """A part of the streams, "0/2" or "1/2": which one, and of how many.

    Raises:
        CommandError: something else.
    """
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise CommandError(f"--shard {text}: give INDEX/COUNT, such as 0/2 and 1/2 for two halves", ExitCode.USAGE)
    return int(index), int(count)


def run_on_gpus(
    gpus: str, config: Config, options: Sequence[str], arguments: Sequence[str], console: Console
) -> dict[str, dict[str, Any] | None]:
    """Run `peoplestream OPTIONS run ARGUMENTS`, which means `config`, on several GPUs; on `console` what came of it.

    See `run_workers`.

    Raises:
        ConfigError: the workers cannot have addresses of their own.
        CommandError: `gpus` is no list of GPUs, or a worker failed.
    """
    chosen = parse_gpus(gpus)
    if not config.keeps_running and len(chosen) > len(config.streams):
        log.warning(
            "there is nothing to do for GPU %s: more of them than streams", ", ".join(chosen[len(config.streams) :])
        )
        chosen = chosen[: len(config.streams)]
    if not has_driver():
        log.warning("this machine has no NVIDIA driver: the %d workers share the processor", len(chosen))
    for index in range(len(chosen)):
        shard(config, index, len(chosen))  # says what is wrong before anything is started
    summaries = run_workers(chosen, arguments, options)
    for name, summary in summaries.items():
        if summary is not None:
            counts = f"{len(summary['streams'])} streams, {summary['frames']} frames, {summary['fps']:.1f} a second"
            console.print(f"[bold]GPU {name}[/]  {counts}", highlight=False)
    return summaries


def run_workers(
    gpus: Sequence[str], arguments: Sequence[str], options: Sequence[str] = ()
) -> dict[str, dict[str, Any] | None]:
    """Run `peoplestream OPTIONS run ARGUMENTS` once per GPU, each with its part of the streams.

    A worker that fails leaves the others alone. SIGINT and SIGTERM go to all of them.

    Returns:
        Name of the worker, as in `names` -> its summary, None where it made none.

    Raises:
        CommandError: one of them failed; with its exit code.
    """
    workers: list[Worker] = []
    with ExitStack() as resources, _forwarding(workers):
        for index, (gpu, name) in enumerate(zip(gpus, names(gpus), strict=True)):
            shard = ["--shard", f"{index}/{len(gpus)}", "--json"]
            printed = resources.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
            process = _start(gpu, [*options, "run", *arguments, *shard], printed)
            workers.append(Worker(name, process, printed))
        failed = _wait(workers)
        if failed:
            codes = [worker.process.returncode for worker in failed]
            code = next((ExitCode(code) for code in codes if code in _CODES), ExitCode.FAILED)
            raise CommandError(f"{len(failed)} of {len(workers)} workers failed; see above", code)
        return {worker.name: worker.summary() for worker in workers}


def _wait(workers: Sequence[Worker]) -> list[Worker]:
    """Wait until all have ended; returns those that failed, each of which is told of at once."""
    failed: list[Worker] = []
    running = list(workers)
    while running:
        time.sleep(_TICK)
        for worker in [worker for worker in running if worker.process.poll() is not None]:
            running.remove(worker)
            if worker.process.returncode:
                failed.append(worker)
                code = worker.process.returncode
                log.error("the worker of GPU %s ended with code %d; %d go on", worker.name, code, len(running))
    return failed


def _start(gpu: str, arguments: Sequence[str], printed: IO[str]) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from stream.cli import main; main()", *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": gpu, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=printed,
        text=True,
        start_new_session=True,  # ctrl-C is for the parent, which hands it on
        preexec_fn=_die_with_parent if sys.platform == "linux" else None,
    )


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@contextmanager
def _forwarding(workers: Sequence[Worker]) -> Iterator[None]:
    """Hand SIGINT and SIGTERM on to every worker; whatever happens here, none is left behind."""

    def forward(number: int, _: FrameType | None) -> None:
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for worker in workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
