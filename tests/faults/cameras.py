"""Cameras on loopback that can be killed, frozen and replaced, and a line to them that can be disturbed.

Run as a program it is one camera: `python -m tests.faults.cameras rtsp|udp PORT WIDTH HEIGHT CODEC GOP`.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np

FPS = 25
SECRET = "hunter2"

START = 90.0
"""Seconds that a busy machine may need to start one."""

_PR_SET_PDEATHSIG = 1

_RTP_CLOCK = 90_000
"""Ticks a second in the time stamps of video (RFC 6184)."""

ROOT = Path(__file__).parents[2]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def end_with_parent() -> None:
    """Let this process be killed when the thread that started it ends, however that comes about."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Camera:
    """A camera in a process of its own; `size` and `codec` may be set anew before another `start`.

    It ends with the thread that started it, whatever becomes of that.
    """

    def __init__(self, kind: Literal["rtsp", "udp"] = "rtsp", key_frame_seconds: float = 0.5) -> None:
        self.kind = kind
        self._gop = round(key_frame_seconds * FPS)  # of udp
        self.port = free_port(socket.SOCK_STREAM if kind == "rtsp" else socket.SOCK_DGRAM)
        self.size = (320, 240)
        self.codec = "libx264"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

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
        if not select.select([self._process.stdout], [], [], START)[0]:
            self.kill()
            raise TimeoutError(f"the camera was not ready within {START:g} s")
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
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)


class Line:
    """A TCP line to a server, in front of which it listens; `mode` may be changed while it carries.

    * `clear`: carries everything
    * `drip`: carries so few bytes a second that no picture is ever complete
    * `noise`: damages the video in every packet of RTP
    * `deny`: answers every request with 401 itself
    * `cut`: hangs up

    `clock_shift` may be changed as well: seconds by which the time stamps of the video are moved on.
    """

    def __init__(self, port: int) -> None:
        self.mode: Literal["clear", "drip", "noise", "deny", "cut"] = "clear"
        self.clock_shift = 0.0
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
        rng, rest = random.Random(0), b""
        with suppress(OSError):  # the other side may have gone before this thread began
            source.settimeout(0.1)
            from_server = source.getpeername()[1] == self._server
            while not self._closed.is_set() and self.mode != "cut":
                with suppress(TimeoutError):
                    dripping = self.mode == "drip" and from_server
                    data = source.recv(20 if dripping else 1 << 16)
                    if not data:
                        return
                    if dripping:
                        time.sleep(0.1)
                        data, rest = rest + data, b""
                    elif from_server:
                        units, rest = _split(rest + data)
                        data = b"".join(self._disturbed(unit, rng) for unit in units)
                    sink.sendall(data)

    def _disturbed(self, unit: bytes, rng: random.Random) -> bytes:
        """A packet of RTP with other time stamps (RFC 3550, 5.1) and, in noise, damage behind its first bytes."""
        if not unit.startswith(b"$"):
            return unit
        packet = bytearray(unit)
        stamp = int.from_bytes(packet[8:12]) + round(self.clock_shift * _RTP_CLOCK)
        packet[8:12] = (stamp % 2**32).to_bytes(4)
        if self.mode == "noise":
            for i in range(4 + 20, len(packet), 7):
                packet[i] = rng.randrange(256)
        return bytes(packet)

    def _deny(self, client: socket.socket) -> None:
        client.settimeout(2)
        while request := client.recv(4096):
            number = re.search(rb"CSeq: *(\d+)", request)
            client.sendall(
                b"RTSP/1.0 401 Unauthorized\r\nCSeq: %s\r\n" % (number[1] if number else b"1")
                + b'WWW-Authenticate: Basic realm="camera"\r\n\r\n'
            )


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    """The packets of RTP in RTSP (`$`, channel, length) and the answers in `data`; and the rest, which is not whole."""
    units = []
    while len(data) >= 4:
        end = len(data)
        if data.startswith(b"$"):
            end = 4 + int.from_bytes(data[2:4])
        elif data.startswith(b"RTSP"):
            head, _, _ = data.partition(b"\r\n\r\n")
            length = re.search(rb"Content-Length: *(\d+)", head)
            end = len(head) + 4 + (int(length[1]) if length else 0)
        if len(data) < end:
            break
        units.append(data[:end])
        data = data[end:]
    return units, data


def _pictures(width: int, height: int) -> list[np.ndarray]:
    """Noise that fills packets, and moves; begins again after the last."""
    texture = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    return [np.roll(texture, shift, axis=1) for shift in range(0, width, 8)]


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _serve_rtsp(port: int, width: int, height: int) -> None:
    import rtsp

    with rtsp.Source(f"rtsp://127.0.0.1:{port}/cam", fps=FPS) as source:
        for picture in _pictures(width, height):  # it keeps what it is given, and shows it again and again
            source.put(picture)
        source.wait_encoding_started()
        _ready()
        source.serve_forever()


def _send_udp(port: int, width: int, height: int, codec: str, gop: int) -> None:
    import av

    with av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "tune": "zerolatency"}
        _ready()
        due = time.monotonic()
        for picture in itertools.cycle(_pictures(width, height)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
            due += 1 / FPS
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    end_with_parent()
    kind, *sizes, codec, gop = sys.argv[1:]
    port, width, height = map(int, sizes)
    if kind == "rtsp":
        _serve_rtsp(port, width, height)
    else:
        _send_udp(port, width, height, codec, int(gop))
