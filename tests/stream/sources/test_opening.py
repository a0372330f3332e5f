"""From the name of a source to the source, and the one sentence where there is none."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stream.config import DecodeConfig, StreamConfig
from stream.sources.opening import open_source
from stream.sources.reader import SourceError
from tests.stream.sources.videos import noise, open_stream, shades, write_video


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of a web server on loopback that serves `tmp_path`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join(5)


def test_a_missing_file_is_named_with_its_likely_neighbour(tmp_path: Path) -> None:
    (tmp_path / "lobby.mp4").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"^no such file or folder: .*loby\.mp4; did you mean .*lobby\.mp4\?$"):
        open_stream(tmp_path / "loby.mp4")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"there is no folder {tmp_path}/nowhere\)$"):
        open_stream(tmp_path / "nowhere" / "a.mp4")


def test_a_glob_that_matches_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"^nothing matches .*\*\.jpg$"):
        open_stream(tmp_path / "*.jpg")


def test_a_file_that_may_not_be_read_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not keep root out
    with pytest.raises(SourceError, match=r"a\.mp4: there is no permission to read it$"):
        open_stream(tmp_path / "a.mp4")


def test_a_folder_that_may_not_be_read_is_one_clear_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(SourceError, match="there is no permission to read it$"):
        open_stream(tmp_path)


def test_a_device_that_is_no_file_is_not_waited_for() -> None:
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        open_stream("/dev/null")


def test_a_file_uri_is_a_file(tmp_path: Path) -> None:
    path = write_video(tmp_path / "two words.mkv", shades(3))
    with open_stream(path.as_uri()) as source:
        assert [frame.clock for frame in source] == ["file"] * 3


def test_a_video_behind_an_address_is_timed_by_its_arrival(tmp_path: Path, server: str) -> None:
    write_video(tmp_path / "a.mkv", shades(5))
    with open_stream(f"http://me:hunter2@{server}/a.mkv") as source:
        frames = list(source)
        assert source.info.source == f"http://***@{server}/a.mkv"
    assert [frame.clock for frame in frames] == ["arrival"] * 5


@contextmanager
def server_that_falls_silent(after: bytes) -> Iterator[str]:
    """HOST:PORT of a server that answers with these bytes and then says nothing more, without hanging up."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as connections:
        listener.settimeout(10)

        def serve() -> None:
            connection = connections.enter_context(listener.accept()[0])
            connection.sendall(after)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def troubles(source: str, count: int, **options: object) -> list[str]:
    """The first reasons for which a feed is lost, one attempt after the other in quick succession."""
    reasons: list[str] = []
    config = StreamConfig.model_validate({"id": "test", "source": source, "isolation": "thread", **options})

    def lost(reason: str | None) -> None:
        if reason is not None:
            reasons.append(reason)
            if len(reasons) == count:
                feed.stop()

    with open_source(config, DecodeConfig(), lost) as feed:
        list(feed)
    return reasons


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_is_given_up(scheme: str) -> None:
    with server_that_falls_silent(b"") as address:
        (reason,) = troubles(f"{scheme}://{address}/a.mkv", 1, open_timeout=0.3)
    assert reason.endswith("no answer within 0.3 seconds")


def test_a_feed_that_falls_silent_is_given_up_after_what_it_sent(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mkv", noise(100)).read_bytes()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    lost = threading.Event()
    with server_that_falls_silent(head + content[: len(content) * 3 // 4]) as address:
        config = StreamConfig.model_validate(
            {"id": "a", "source": f"http://{address}/a.mkv", "isolation": "thread", "read_timeout": 0.3}
        )
        with open_source(config, DecodeConfig(), lambda _: (lost.set(), source.stop())) as source:
            got = len(list(source))
    assert lost.is_set() and got > 10


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_no_error_no_traceback_and_no_log_holds_credentials(
    server: str, scheme: str, isolation: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "-".join(("hunter", "2"))
    with caplog.at_level(logging.DEBUG):
        (reason,) = troubles(
            f"{scheme}://me:{secret}@{server}/missing.mp4?token={secret}", 1, isolation=isolation, open_timeout=2
        )
    assert "missing.mp4" in reason and "***" in reason
    assert "missing.mp4" in caplog.text
    captured = capfd.readouterr()
    assert secret not in reason + caplog.text + captured.out + captured.err
