"""`peoplestream run` as a process of its own, with people found by no network, in a time that is chosen.

Run as a program it is that process: `python -m tests.faults.programs CONFIG MODEL_SECONDS PEOPLE`.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import numpy as np
import yaml

from models.tasks import Boxes, Image
from stream.assembly import Assembly
from stream.perception import Perception
from stream.wire import Subscriber
from tests.faults.cameras import ROOT, SECRET, START, end_with_parent, free_port
from tests.faults.watching import children, is_alive, wait_until


class Crowd:
    """Finds so many people in every image, side by side, and takes `seconds` for every batch."""

    def __init__(self, people: int, seconds: float = 0.0) -> None:
        self._side = math.ceil(math.sqrt(people))
        self._people = people
        self._seconds = seconds

    def __call__(self, images: Sequence[Image]) -> list[Boxes]:
        time.sleep(self._seconds)
        return [self._boxes(*image.shape[:2]) for image in images]

    def _boxes(self, height: int, width: int) -> Boxes:
        left, top = (np.arange(self._people)[:, None] // [1, self._side] % self._side / self._side).T
        right, bottom = left + 0.8 / self._side, top + 0.8 / self._side
        boxes = np.stack([left, top, right, bottom], axis=1) * [width, height, width, height]
        return Boxes(boxes.astype(np.float32), np.full(self._people, 0.9, np.float32))


def crowd(people: int, seconds: float = 0.0) -> Assembly:
    """An assembly of one `Crowd`."""
    return Assembly(Perception(Crowd(people, seconds)), {"detector": "crowd"}, {}, 1)


class Program:
    """Starts and ends it; may be started again, at the same addresses.

    Args:
        folder: where its configuration and its output go.
        streams: id -> address or options. sections: of the configuration.
        model_seconds: what a batch takes to be perceived. people: in every frame.
    """

    def __init__(
        self,
        folder: Path,
        streams: dict[str, str | dict[str, Any]],
        *,
        model_seconds: float = 0.0,
        people: int = 1,
        **sections: dict[str, Any],
    ) -> None:
        self.control = f"tcp://127.0.0.1:{free_port()}"
        publish = {"endpoint": f"tcp://127.0.0.1:{free_port()}", **sections.get("publish", {})}
        self.endpoint = str(publish["endpoint"])
        configs = [{"id": id_, **(how if isinstance(how, dict) else {"source": how})} for id_, how in streams.items()]
        config = {
            "streams": [{"read_timeout": 1.5, "open_timeout": 3.0, **stream} for stream in configs],
            **sections,
            "publish": publish,
            "control": {"endpoint": self.control},
        }
        self._config = folder / "config.yaml"
        self._config.write_text(yaml.safe_dump(config))
        self._arguments = [str(self._config), str(model_seconds), str(people)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.kill)
            self.start()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        """What it wrote to stdout."""
        return self._config.with_suffix(".out").read_text()

    @property
    def errors(self) -> str:
        """What it wrote to stderr."""
        return self._config.with_suffix(".err").read_text()

    def start(self) -> None:
        """Start it, and wait until it publishes frames."""
        command = [sys.executable, "-m", "tests.faults.programs", *self._arguments]
        with self._config.with_suffix(".out").open("wb") as out, self._config.with_suffix(".err").open("wb") as err:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        with Subscriber(self.endpoint) as subscriber:
            wait_until(lambda: self.ended or subscriber.receive(0.1) is not None, START, "the program's first frame")
        assert not self.ended, self.errors

    @property
    def ended(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns its exit code."""
        assert self._process is not None
        return self._process.wait(timeout)

    def summary(self) -> dict[str, Any]:
        """What it said of its run."""
        summary: dict[str, Any] = json.loads(self.output)
        return summary

    def kill(self) -> None:
        """End it in no orderly way, unless it has ended, and look for credentials in what it said."""
        if self._process is None:
            return
        decoders = children(self.pid) if not self.ended else set()
        self._process.kill()
        self._process.wait()
        self._process = None
        wait_until(lambda: not any(map(is_alive, decoders)), 5, "the end of the decoders")
        assert SECRET not in self.output + self.errors


if __name__ == "__main__":
    end_with_parent()
    config, seconds, people = sys.argv[1:]
    sys.argv[1:] = ["run", config, "--json"]
    from stream.cli import main

    with mock.patch("stream.pipeline.assemble", return_value=crowd(int(people), float(seconds))):
        main()
