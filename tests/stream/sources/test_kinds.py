"""Every kind of feed that the documentation names, on loopback."""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream.config import DecodeConfig, StreamConfig
from stream.sources.opening import open_source
from stream.types import Frame
from tests.faults.cameras import Camera
from tests.stream.sources.videos import noise, write_video


def watch(source: str, count: int, **options: object) -> tuple[list[Frame], list[str | None]]:
    """The first frames of a feed, and its troubles until then; what it brings in ten seconds where it is silent."""
    troubles: list[str | None] = []
    config = StreamConfig.model_validate({"id": "a", "source": source, "open_timeout": 3, **options})
    with open_source(config, DecodeConfig(), troubles.append) as feed:
        timer = threading.Timer(10, feed.stop)
        timer.start()
        frames = list(itertools.islice(feed, count))
        timer.cancel()
        timer.join()
    return frames, troubles


def intervals(frames: list[Frame]) -> np.ndarray:
    return np.diff([frame.captured_at for frame in frames])


class Mjpeg(BaseHTTPRequestHandler):
    """A camera that sends JPEGs for ever, as cheap ones do."""

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with suppress(OSError):
            for image in itertools.cycle(noise(5)):
                jpeg = cv2.imencode(".jpg", image)[1].tobytes()
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
                time.sleep(0.02)


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@contextmanager
def serving(handler: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with Camera() as camera:
        yield camera


@pytest.mark.parametrize("transport", ["auto", "tcp", "udp"])
def test_rtsp_over_a_transport_does_not_come(camera: Camera, transport: str) -> None:
    frames, troubles = watch(camera.url, 20, transport=transport)
    assert len(frames) == 20 and troubles == []
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}


def test_old_pictures_come_first_when_a_camera_is_opened(camera: Camera) -> None:
    """What arrives while FFmpeg looks for the rate must not come out at once, late, and timed wrongly."""
    frames, _ = watch(camera.url, 30)
    assert np.median(intervals(frames)[:10]) > 0.02


@contextmanager
def tls_in_front_of(port: int, folder: Path) -> Iterator[int]:
    """A port at which the same server is reached encrypted."""
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(["openssl", "req", "-x509", *made, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    def serve() -> None:
        with (
            suppress(OSError),
            context.wrap_socket(listener.accept()[0], server_side=True) as client,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            client.settimeout(0.01)
            server.settimeout(0.01)
            while not over.is_set():
                for source, sink in ((client, server), (server, client)):
                    with suppress(TimeoutError):
                        sink.sendall(source.recv(1 << 16))

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        thread.join(10)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program to make a certificate")
def test_rtsp_over_tls_does_not_come(camera: Camera, tmp_path: Path) -> None:
    with tls_in_front_of(camera.port, tmp_path) as port:
        frames, troubles = watch(f"rtsps://127.0.0.1:{port}/cam", 10)
    assert len(frames) == 10 and troubles == []


def test_mjpeg_does_not_come_as_fast_as_it_is_sent() -> None:
    with serving(Mjpeg) as url:
        frames, troubles = watch(f"{url}/video.cgi?user=me&password=hunter2", 40)
    assert len(frames) == 40 and troubles == []
    assert np.median(intervals(frames)) < 0.035, "it is sent at up to 50 frames a second, whatever its pts say"


def test_hls_comes_in_bursts_of_which_most_frames_are_dropped(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "live.m3u8"), "w", format="hls", options={"hls_time": "1"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 64, 48, "yuv420p", 25
        for image in noise(75):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    playlist = tmp_path / "live.m3u8"
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST\n", ""))
    with serving(partial(Files, directory=str(tmp_path))) as url:
        frames, troubles = watch(f"{url}/live.m3u8", 40)
    assert len(frames) == 40 and troubles == []
    assert np.median(intervals(frames)) == pytest.approx(0.04, abs=0.01)


def test_a_film_behind_http_is_gone_in_a_moment(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", noise(25))
    with serving(partial(Files, directory=str(tmp_path))) as url:
        frames, troubles = watch(f"{url}/a.mp4", 100)
    assert len(frames) == 25 and troubles == []
    assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(0.96, abs=0.2)


def test_mpeg_ts_over_udp_does_not_come() -> None:
    with Camera("udp") as camera:
        frames, troubles = watch(camera.url, 20)
    assert len(frames) == 20 and troubles == []


@pytest.mark.parametrize("source", ["v4l2:///dev/video99", "/dev/video99"])
def test_a_camera_that_is_not_plugged_in_ends_the_stream(source: str) -> None:
    config = StreamConfig(id="a", source=source)
    troubles: list[str | None] = []
    assert config.is_live
    with open_source(config, DecodeConfig(), lambda reason: (troubles.append(reason), feed.stop())) as feed:
        assert list(feed) == [] and feed.faults == {"not found": 1}
    assert re.search(r"video99: there is nothing under this address$", str(troubles[0]))


def test_the_size_that_was_asked_for_is_not_that_of_the_pictures(camera: Camera, tmp_path: Path) -> None:
    frames, _ = watch(camera.url, 2, max_height=120)
    assert frames[0].image.shape == (120, 160, 3)
    lying = write_video(tmp_path / "a.mp4", noise(2, 320, 240), rotation=90)
    for isolation in ("thread", "process"):
        frames, _ = watch(str(lying), 2, max_height=160, isolation=isolation)
        assert frames[0].image.shape == (160, 120, 3), "the height is that of the upright picture"
    frames, _ = watch(str(lying), 1, max_height=1000)
    assert frames[0].image.shape == (320, 240, 3), "nothing is ever enlarged"


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_camera_that_sends_a_key_frame_now_and_then_is_never_let_in(isolation: str) -> None:
    with Camera("udp", key_frame_seconds=4) as camera:
        frames, troubles = watch(camera.url, 5, isolation=isolation, open_timeout=6, read_timeout=1)
    assert len(frames) == 5 and troubles == []
