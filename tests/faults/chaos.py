"""What goes wrong in a soak: a scene of cameras, a program that watches them, and faults in random order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import av
import numpy as np

from stream.control import ControlClient
from tests.faults.cameras import FPS, ROOT, Camera, Line
from tests.faults.programs import Program
from tests.faults.watching import Listener, decoder

STREAMS = ("camera", "line", "file", "pattern")
"""The feed of a camera, that of another behind a line that can be disturbed, a file in a loop, a test pattern."""

PEOPLE = 25
"""In every frame: so many that a subscriber who hangs for a second has a full queue."""

FOLLOWER = """
import sys
from stream.wire import Subscriber
with Subscriber(sys.argv[1], high_water_mark=10) as results:
    for result in results:
        pass
"""


class Fault(NamedTuple):
    """Something that goes wrong.

    Attributes:
        begin, end: make it and mend it; what the program mends by itself has no end.
        cuts: the stream, if any, that must be connected to again, so that a new epoch begins.
    """

    name: str
    begin: Callable[[], None]
    end: Callable[[], None] | None = None
    cuts: str | None = None


class Scene:
    """Everything that runs in a soak.

    Attributes:
        program: watches `STREAMS`. listener: a subscriber to whom nothing happens.
    """

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self._folder = folder
        self._rng = rng
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._camera, behind = undo.enter_context(Camera()), undo.enter_context(Camera())
            self._line = undo.enter_context(Line(behind.port))
            video = self._folder / "loop.mp4"
            make_video(video)
            streams: dict[str, str | dict[str, Any]] = {
                "camera": self._camera.url,
                "line": self._line.url,
                "file": {"source": str(video), "loop": True, "pace": "realtime"},
                "pattern": {"source": f"testpattern://160x120@{FPS}", "pace": "realtime"},
            }
            publish = {"endpoint": f"ipc://{self._folder}/people", "high_water_mark": 10, "replay_seconds": 5.0}
            self.program = undo.enter_context(Program(self._folder, streams, people=PEOPLE, publish=publish))
            self._control = undo.enter_context(ControlClient(self.program.control))
            self.listener = undo.enter_context(Listener(self.program.endpoint, keep=100))
            follower = subprocess.Popen([sys.executable, "-c", FOLLOWER, self.program.endpoint], cwd=ROOT)
            undo.callback(follower.wait)
            undo.callback(follower.kill)
            self._follower = follower.pid
            self._resources = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def faults(self) -> Iterator[Fault]:
        """Faults for ever: every kind once in a random order, then again in another."""
        kinds = [
            Fault("camera killed", self._camera.kill, self._camera.start, "camera"),
            Fault("camera killed, comes back with another size", self._camera.kill, self._resize, "camera"),
            Fault("camera frozen", self._camera.freeze, self._camera.thaw),
            Fault("line cut", lambda: self._disturb("cut"), lambda: self._disturb("clear"), "line"),
            Fault("line drips", lambda: self._disturb("drip"), lambda: self._disturb("clear")),
            Fault("packets damaged", lambda: self._disturb("noise"), lambda: self._disturb("clear")),
            Fault("time stamps jump", self._set_clock),
            Fault("decoder crashes", lambda: self._hurt_decoder("camera", signal.SIGSEGV), cuts="camera"),
            Fault("decoder hangs", lambda: self._hurt_decoder("line", signal.SIGSTOP), cuts="line"),
            Fault("streams come and go", self._add_guests, self._remove_guests),
            Fault("file paused", lambda: self._ask("pause", id="file"), lambda: self._ask("resume", id="file")),
            Fault("subscriber hangs", lambda: self._follower_gets(signal.SIGSTOP), self._wake_follower),
        ]
        while True:
            yield from self._rng.sample(kinds, len(kinds))

    def _resize(self) -> None:
        self._camera.size = (640, 480) if self._camera.size == (320, 240) else (320, 240)
        self._camera.start()

    def _disturb(self, mode: Literal["clear", "drip", "noise", "cut"]) -> None:
        self._line.mode = mode

    def _set_clock(self) -> None:
        self._line.clock_shift = self._rng.uniform(-3600, 3600)

    def _hurt_decoder(self, stream: str, number: signal.Signals) -> None:
        os.kill(decoder(self.program.pid, stream), number)

    def _add_guests(self) -> None:
        for number in range(5):
            self._ask("add", stream={"id": f"guest{number}", "source": f"testpattern://96x64@{FPS}?frames=9"})
        self._ask("add", stream={"id": "guest", "source": self._camera.url})

    def _remove_guests(self) -> None:
        for name in ("guest", *(f"guest{number}" for number in range(5))):
            self._ask("remove", id=name)

    def _follower_gets(self, number: signal.Signals) -> None:
        os.kill(self._follower, number)

    def _wake_follower(self) -> None:
        self._follower_gets(signal.SIGCONT)

    def _ask(self, command: str, **fields: object) -> None:
        self._control.ask(command, **fields)


def make_video(path: Path, seconds: float = 4.0) -> None:
    """A short video of noise that moves."""
    texture = np.random.default_rng(1).integers(0, 255, (120, 160, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, 4 * index, axis=1), "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
