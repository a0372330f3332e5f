"""A decoder in a process of its own: `python -m stream.sources.decoder ID DESCRIPTOR`, started by `ProcessReader`.

What it reads comes over the descriptor, a socket: a command line, which everybody on the machine can see, holds no
address. It dies with its parent.
"""

from __future__ import annotations

import ctypes
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import Any

import numpy as np

from stream.sources.messages import BEAT, SLOTS, receive, send
from stream.sources.reader import Picture, SourceError
from stream.sources.slab import Slab
from stream.sources.video import VideoOptions, VideoReader
from stream.types import Clock
from stream.uri import redact

_PR_SET_PDEATHSIG = 1

_LINGER = 10.0
"""Seconds that the reader has for the last message."""


class Outlet:
    """The decoder's end of the socket.

    Args:
        channel: the socket.
        waits: whether a picture waits for a slot, as those of a file do; a feed's is dropped.
    """

    def __init__(self, channel: socket.socket, *, waits: bool) -> None:
        self._channel = channel
        self._waits = waits
        self._sending = threading.Lock()
        self._slab: Slab | None = None
        self._free: tuple[int, queue.SimpleQueue[int]] = (0, queue.SimpleQueue())  # of the slab with this number
        self._progress = time.monotonic()
        self.closed = threading.Event()
        self.dropped: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to give signs of life, and to listen."""
        for target in (self._beat, self._listen):
            threading.Thread(target=target, daemon=True).start()

    def send(self, kind: str, fd: int | None = None, **fields: Any) -> None:
        """Send one message; a reader that is gone ends this process."""
        try:
            with self._sending:
                send(self._channel, kind, fd, **fields)
        except OSError:
            os._exit(0)

    def opened(self, reader: VideoReader) -> None:
        """Tell what has been opened."""
        self._progress = time.monotonic()
        self.send("opened", fps=reader.fps, frames=reader.frames, finite=reader.finite)

    def put(self, picture: Picture, clock: Clock) -> None:
        """Hand a picture over."""
        self._progress = time.monotonic()
        image = np.asarray(picture.image)  # no other than an array: nothing is decoded on a GPU here
        if self._slab is None or image.nbytes > self._slab.slot_bytes:
            self._grow(image.nbytes)
        slot = self._slot()
        if self._slab is None or slot is None:
            self.dropped["busy"] += 1
            return
        self._slab.write(slot, image)
        height, width = image.shape[:2]
        self.send("picture", slot=slot, height=height, width=width, pts=picture.pts, at=picture.at, clock=clock)

    def finish(self, kind: str, **fields: Any) -> None:
        """Send the last message, and wait until it is read: it could be lost with the end of this process."""
        self._alive()
        self.send(kind, **fields)
        self.closed.wait(_LINGER)

    def _slot(self) -> int | None:
        """A free slot, or None."""
        free = self._free[1]
        while not self.closed.is_set():
            try:
                return free.get(self._waits, BEAT)
            except queue.Empty:
                if not self._waits:
                    return None
                self._progress = time.monotonic()
        return None

    def _grow(self, slot_bytes: int) -> None:
        """Replace the slab. What is in the old one stays readable: the reader has mapped it, and copies in order."""
        self._slab, fd = Slab.create(SLOTS, slot_bytes)
        free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(SLOTS):
            free.put(slot)
        self._free = ((self._free[0] + 1) % 256, free)
        self.send("slab", fd, number=self._free[0], slots=SLOTS, slot_bytes=slot_bytes)
        os.close(fd)

    def _alive(self) -> None:
        self.send("alive", idle=time.monotonic() - self._progress, dropped=dict(self.dropped))

    def _beat(self) -> None:
        while True:
            self._alive()
            time.sleep(BEAT)

    def _listen(self) -> None:
        with suppress(OSError):
            while freed := self._channel.recv(2):
                number, free = self._free
                if freed[0] == number:
                    free.put(freed[1])
        self.closed.set()


class _Forward(logging.Handler):
    """Sends what is logged here to the log of the parent."""

    def __init__(self, outlet: Outlet) -> None:
        super().__init__()
        self._outlet = outlet

    def emit(self, record: logging.LogRecord) -> None:
        self._outlet.send("log", level=record.levelno, text=redact(record.getMessage()))


def main() -> None:
    """Decode what the reader asks for, until the medium ends, fails, or nobody wants it any more."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    channel = socket.socket(fileno=int(sys.argv[2]))
    received = receive(channel)
    if received is None:  # the parent died meanwhile
        return
    request = received[0]
    options = VideoOptions(**request["options"])
    outlet = Outlet(channel, waits=not options.live)
    outlet.start()
    logging.basicConfig(level=request["log_level"], handlers=[_Forward(outlet)])
    try:
        _decode(request["source"], options, outlet)
    except SourceError as error:
        outlet.finish("error", fault=error.fault, text=str(error))
    except Exception as error:  # its text may hold the address
        outlet.finish("error", fault="crashed", text=f"the decoder failed: {type(error).__name__}")
    else:
        outlet.finish("end")


def _decode(source: str, options: VideoOptions, outlet: Outlet) -> None:
    reader = VideoReader(source, options, outlet.dropped)
    try:
        outlet.opened(reader)
        for picture in reader.pictures():
            if outlet.closed.is_set():
                return
            outlet.put(picture, reader.clock)
    finally:
        reader.close()


if __name__ == "__main__":
    main()
