"""Cameras on loopback that can be killed, frozen and replaced, and a line to them that can be disturbed.

Run as a program it is one camera: `python -m tests.faults.cameras rtsp|udp PORT WIDTH HEIGHT CODEC GOP`.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

FPS = 25
SECRET = "hunter2"

ROOT = Path(__file__).parents[2]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Camera:
    """A camera in a process of its own; `size` and `codec` may be set anew before another `start`."""

    def __init__(self, kind: Literal["rtsp", "udp"] = "rtsp", key_frame_seconds: float = 0.5) -> None:
        self.kind = kind
        self._gop = round(key_frame_seconds * FPS)  # of udp
        self.port = free_port(socket.SOCK_STREAM if kind == "rtsp" else socket.SOCK_DGRAM)
        self.size = (320, 240)
        self.codec = "libx264"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is watched, with credentials that it does not ask for."""
        if self.kind == "udp":
            return f"udp://127.0.0.1:{self.port}?token={SECRET}"
        return f"rtsp://me:{SECRET}@127.0.0.1:{self.port}/cam"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Switch it on, and wait until it sends."""
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.faults.cameras",
                self.kind,
                str(self.port),
                *map(str, self.size),
                self.codec,
                str(self._gop),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """Cut its power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        """Let it hang, with its connections open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


class Line:
    """A TCP line to a server, in front of which it listens; `mode` may be changed while it carries.

    * `clear`: carries everything
    * `drip`: carries so few bytes a second that no picture is ever complete
    * `noise`: damages the video in every packet of RTP
    * `deny`: answers every request with 401 itself
    * `cut`: hangs up
    """

    def __init__(self, port: int) -> None:
        self.mode: Literal["clear", "drip", "noise", "deny", "cut"] = "clear"
        self.asked = 0
        self._server = port
        self._closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"rtsp://me:{SECRET}@127.0.0.1:{self.port}/cam"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                client = self._listener.accept()[0]
                self.asked += 1
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.mode == "deny":
                self._deny(client)
                return
            with socket.create_connection(("127.0.0.1", self._server)) as server:
                up = threading.Thread(target=self._carry, args=(client, server))
                up.start()
                self._carry(server, client)
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                up.join(5)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        source.settimeout(0.1)
        from_server = source.getpeername()[1] == self._server
        rng = random.Random(0)
        with suppress(OSError):
            while not self._closed.is_set() and self.mode != "cut":
                with suppress(TimeoutError):
                    data = source.recv(20 if self.mode == "drip" and from_server else 1 << 16)
                    if not data:
                        return
                    if from_server and self.mode == "drip":
                        time.sleep(0.1)
                    if from_server and self.mode == "noise" and data[:1] != b"R":
                        data = _damaged(data, rng)
                    sink.sendall(data)

    def _deny(self, client: socket.socket) -> None:
        client.settimeout(2)
        while request := client.recv(4096):
            number = re.search(rb"CSeq: *(\d+)", request)
            client.sendall(
                b"RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\n" % (number[1] if number else b"1")
                + b'WWW-Authenticate: Basic realm="camera"\r\n\r\n'
            )


def _damaged(data: bytes, rng: random.Random) -> bytes:
    """The same packets of RTP in RTSP (`$`, channel, length), but their video spoilt behind the first bytes."""
    spoilt = bytearray(data)
    at = 0
    while at + 4 < len(spoilt) and spoilt[at] == ord("$"):
        length = int.from_bytes(spoilt[at + 2 : at + 4])
        for i in range(at + 4 + 20, min(at + 4 + length, len(spoilt)), 7):
            spoilt[i] = rng.randrange(256)
        at += 4 + length
    return bytes(spoilt)


def _pictures(width: int, height: int) -> Iterator[np.ndarray]:
    """Noise that fills packets, 25 pictures a second."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (height, width, 3), np.uint8)
    due = time.monotonic()
    for index in range(10**9):
        yield np.roll(texture, 8 * index, axis=1)
        due += 1 / FPS
        time.sleep(max(0.0, due - time.monotonic()))


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _serve_rtsp(port: int, width: int, height: int) -> None:
    import rtsp

    with rtsp.Source(f"rtsp://127.0.0.1:{port}/cam", fps=FPS) as source:
        pictures = _pictures(width, height)
        source.put(next(pictures))
        source.wait_encoding_started()
        _ready()
        for picture in pictures:
            source.put(picture)


def _send_udp(port: int, width: int, height: int, codec: str, gop: int) -> None:
    import av

    with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        _ready()
        for picture in _pictures(width, height):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))


if __name__ == "__main__":
    kind, *sizes, codec, gop = sys.argv[1:]
    port, width, height = map(int, sizes)
    if kind == "rtsp":
        _serve_rtsp(port, width, height)
    else:
        _send_udp(port, width, height, codec, int(gop))
