"""A reader whose decoder runs in a process of its own, which is watched and, when it misbehaves, killed."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

from stream.sources.messages import BEAT, receive, send
from stream.sources.reader import Picture, SourceError
from stream.sources.slab import Slab
from stream.sources.video import VideoOptions
from stream.types import Clock
from stream.uri import redact

log = logging.getLogger(__name__)

SILENCE = 2.0
"""Seconds without a sign of life, of which there are two a second, after which a decoder counts as hung."""

START = 20.0
"""Seconds that a busy machine may need to start one."""

FAREWELL = 1.0
"""Seconds to sign off from the camera in; some let nobody else in until they have timed a connection out."""

_TICK = 0.1

supported = hasattr(os, "memfd_create") and hasattr(socket, "SOCK_SEQPACKET")
"""Whether this system has what it takes; Linux has."""


class ProcessReader:
    """Pictures of what a `VideoReader` reads in another process.

    They come through shared memory and are copied once. A decoder that crashes, hangs, or takes more than `memory_mb`
    of memory is killed and raises `SourceError`, as does a feed that sends no picture within its timeout.

    Args:
        name: of the stream, shown in the list of processes.
        source: path or URI, which is not.
        options: how it is read.
        memory_mb: resident memory that the decoder may take, MiB.
        dropped: where skipped pictures are counted.
        stopped: ends all waiting.

    Raises:
        SourceError: it cannot be opened, or there is no video in it.
    """

    clock: Clock
    fps: float = 0.0
    frames: int = 0
    finite: bool = False

    def __init__(
        self, name: str, source: str, options: VideoOptions, memory_mb: int, dropped: Counter[str], stopped: Event
    ) -> None:
        self.clock = "arrival" if options.live else "file"
        self._name = redact(source)
        self._options = options
        self._memory = memory_mb * 2**20
        self._dropped = dropped
        self._reported: Counter[str] = Counter()
        self._stopped = stopped
        self._slab: Slab | None = None
        self._slab_number = 0
        self._limit = options.open_timeout
        try:
            self._channel, self._process = _start(name)
        except OSError as error:
            raise SourceError(f"{self._name}: its decoder cannot be started: {error.strerror}") from None
        try:
            send(
                self._channel,
                "request",
                source=source,
                options=asdict(options),
                log_level=log.getEffectiveLevel(),
            )
            self._wait_until_opened()
        except BaseException:
            self.close()
            raise

    def pictures(self) -> Iterator[Picture]:
        """The pictures in the order in which they are shown; none any more once it is stopped.

        Raises:
            SourceError: the medium broke off, or the decoder did.
        """
        try:
            for kind, fields, fd in self._messages(SILENCE):
                if kind == "picture":
                    yield self._take(fields)
                elif kind == "slab" and fd is not None:
                    self._use(Slab(fd, fields["slots"], fields["slot_bytes"]), fields["number"])
        except (ValueError, KeyError, TypeError) as error:  # its memory is damaged: believe nothing more
            self._kill()
            raise SourceError(f"{self._name}: its decoder talks nonsense and was killed", "crashed") from error

    def close(self) -> None:
        """Let the decoder go; one that takes long is killed."""
        self._channel.close()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._kill()
        if self._slab is not None:
            self._slab.close()
            self._slab = None

    def _wait_until_opened(self) -> None:
        for kind, fields, _ in self._messages(START):
            if kind == "opened":
                self.fps, self.frames, self.finite = fields["fps"], fields["frames"], fields["finite"]
                return
        raise SourceError(f"{self._name}: was stopped before it had been opened")

    def _messages(self, silence: float) -> Iterator[tuple[str, dict[str, Any], int | None]]:
        """What the decoder says, but for what is dealt with here; ends with the medium, or when it is stopped."""
        heard = time.monotonic()
        while not self._stopped.is_set():
            try:
                message = receive(self._channel)
            except TimeoutError:
                if time.monotonic() - heard > silence:
                    self._kill()
                    raise SourceError(f"{self._name}: its decoder hung and was killed", "crashed") from None
                continue
            heard, silence = time.monotonic(), SILENCE
            if message is None:
                raise SourceError(f"{self._name}: its decoder crashed ({self._last_words()})", "crashed")
            fields, fd = message
            kind = fields["kind"]
            if kind == "end":
                return
            if kind == "error":
                raise SourceError(fields["text"], fields["fault"])
            if kind == "alive":
                self._check(fields["idle"], Counter(fields["dropped"]))
            elif kind == "log":
                log.log(fields["level"], "%s", fields["text"])
            else:
                yield kind, fields, fd
                heard = time.monotonic()  # what the taker of the picture needed is no silence of the decoder

    def _check(self, idle: float, dropped: Counter[str]) -> None:
        """Take note of a sign of life; end a decoder that lives, but not well."""
        self._dropped.update(dropped - self._reported)
        self._reported = dropped
        if self._options.live and idle > self._limit + BEAT:
            self._kill()
            raise SourceError(f"{self._name}: no picture for {self._limit:g} seconds", "timeout")
        taken = _resident(self._process.pid)
        if taken > self._memory:
            self._kill()
            raise SourceError(
                f"{self._name}: its decoder was killed: it took {taken >> 20} MiB of memory, "
                f"more than decode.memory_mb = {self._memory >> 20}",
                "memory",
            )

    def _take(self, fields: dict[str, Any]) -> Picture:
        """Copy a picture out of its slot, and give the slot back."""
        assert self._slab is not None, "a picture comes after its slab"
        self.clock, self._limit = fields["clock"], self._options.read_timeout
        image = self._slab.read(fields["slot"], fields["height"], fields["width"])
        with suppress(OSError):  # a decoder that has just died is noticed by the next message
            self._channel.send(bytes([self._slab_number, fields["slot"]]))
        return Picture(fields["pts"], image, fields["at"])

    def _use(self, slab: Slab, number: int) -> None:
        if self._slab is not None:
            self._slab.close()
        self._slab, self._slab_number = slab, number

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _last_words(self) -> str:
        try:
            code = self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._kill()
            return "it closed its line"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _start(name: str) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A decoder that waits for its request, and our end of the socket to it.

    Not by `multiprocessing`: that would import the main program again, with all its networks.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_TICK)
    with theirs:
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "stream.sources.decoder", name, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)},
                start_new_session=True,  # ctrl-C is for the parent, which lets its decoders go in its own time
            )
        except OSError:
            ours.close()
            raise
    return ours, process


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
