"""The kinds of failure, by what PyAV raises for them on a real socket."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stream.sources.faults import HOPELESS
from stream.sources.reader import SourceError
from stream.sources.video import VideoOptions, VideoReader


@contextmanager
def answering(status: str) -> Iterator[str]:
    """HOST:PORT of a server that answers every request of a connection with this status."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                client.settimeout(2)
                try:
                    while request := client.recv(4096):
                        number = request.partition(b"CSeq: ")[2].split(b"\r\n")[0] or b"1"
                        protocol = b"RTSP/1.0" if b"RTSP" in request else b"HTTP/1.1"
                        client.sendall(
                            protocol + f" {status}\r\n".encode() + b"CSeq: " + number + b"\r\nContent-Length: 0\r\n"
                            b'WWW-Authenticate: Basic realm="x"\r\n\r\n'
                        )
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def failure(source: str, open_timeout: float = 2.0) -> SourceError:
    with pytest.raises(SourceError) as caught:
        VideoReader(source, VideoOptions(live=True, open_timeout=open_timeout), Counter())
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
@pytest.mark.parametrize(
    ("status", "fault"),
    [("401 Unauthorized", "auth"), ("403 Forbidden", "auth"), ("404 Not Found", "not found")],
)
def test_an_answer_of_the_server_is_taken_for_another(scheme: str, status: str, fault: str) -> None:
    with answering(status) as address:
        assert failure(f"{scheme}://me:hunter2@{address}/cam").fault == fault


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtsps", "https"])
def test_a_closed_port_is_taken_for_something_else(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert failure(f"{scheme}://me:hunter2@127.0.0.1:{port}/cam").fault == "refused"


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtsps"])
def test_a_host_without_an_address_is_taken_for_a_broken_disk(scheme: str) -> None:
    assert failure(f"{scheme}://me:hunter2@camera.invalid/cam").fault == "unknown host"


@pytest.mark.parametrize("scheme", ["rtsps", "https"])
def test_a_server_without_encryption_is_not_named(scheme: str) -> None:
    with answering("400 Bad Request") as address:
        assert failure(f"{scheme}://me:hunter2@{address}/cam").fault == "tls"


def test_a_kind_of_address_that_ffmpeg_lacks_is_tried_again_and_again() -> None:
    lacking = failure("cam://me:hunter2@cam/1")
    assert lacking.fault in HOPELESS and "there is no such kind of address here; give a file" in str(lacking)
