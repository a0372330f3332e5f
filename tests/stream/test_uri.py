"""Names of sources: no credential gets out, and every stream gets a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.uri import impossible, is_live, local_path, missing, redact, relative_to, stream_id


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("rtsp://admin:hunter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin@cam/1", "rtsp://***@cam/1"),
        ("RTSP://admin:hunter2@cam:554/1", "RTSP://***@cam:554/1"),
        ("rtsp://admin:hun@ter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:hun/ter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:hun?ter2@cam/1", "rtsp://***@cam/1"),
        ("rtsp://admin:hun ter2@cam/1", "rtsp://***@cam/1"),
        ("http://cam/video?user=admin&pwd=hunter2", "http://cam/video?***"),
        ("rtsp://cam/user=admin_password=hunter2_channel=1", "rtsp://cam/user=***_password=***_channel=1"),
        ("rtsp://cam/1", "rtsp://cam/1"),
        ("--set streams.0.source=rtsp://admin:hunter2@cam/1", "--set streams.0.source=rtsp://***@cam/1"),
        ("testpattern://64x48@25?frames=3", "testpattern://64x48@25?frames=3"),
        ("clips/me@home?.mp4", "clips/me@home?.mp4"),
        ("file:///home/me@work/a.mp4", "file:///home/me@work/a.mp4"),
    ],
)
def test_credentials_are_left_out_wherever_a_camera_takes_them(uri: str, shown: str) -> None:
    assert redact(uri) == shown


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_password_survives_whatever_characters_it_has(user: str, password: str) -> None:
    assert redact(f"rtsp://{user}:{password}@cam.local:554/h264") == "rtsp://***@cam.local:554/h264"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("clips/lobby.mp4", "lobby"),
        ("clips/lobby.2024-05-01.mp4", "lobby.2024-05-01"),
        ("Eingang Süd.mp4", "Eingang-Sud"),
        ("日本.mp4", "stream"),
        ("walk/img*.jpg", "walk"),
        ("rtsp://admin:hunter2@cam.local/door", "door"),
        ("rtsp://admin:hunter2@cam.local:554/", "cam.local-554"),
        ("http://host/live/door.m3u8?token=hunter2", "door"),
        ("testpattern://64x48@25?frames=3", "testpattern"),
        (".hidden", "hidden"),
    ],
)
def test_every_source_gets_a_printable_name(source: str, name: str) -> None:
    assert stream_id(source) == name


def test_a_folder_is_named_whole_even_with_a_dot_in_it(tmp_path: Path) -> None:
    (tmp_path / "cam.1").mkdir()
    assert stream_id(str(tmp_path / "cam.1")) == "cam.1"


@given(st.text())
@example("x" * 300)
def test_any_text_makes_a_valid_stream_id(source: str) -> None:
    from stream.config import StreamConfig

    StreamConfig(id=stream_id(source), source="x")


@given(st.text())
@example("x" * 300)
@example("[" * 300)
@example("a\x00b")
def test_asking_whether_something_is_there_never_fails(path: str) -> None:
    assert missing(path) is None or isinstance(missing(path), str)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("foo://x/y", "there is no such kind of address as foo://; give a file"),
        ("ftp://x/y", "there is no such kind of address as ftp://"),
        ("rtsp://", "must name a host, as in rtsp://192.0.2.7/1"),
        ("http:///video.mjpg", "must name a host"),
        ("rtsp://me:hunter2@:554/1", "must name a host"),
        ("rtsp://fe80::1/1", "must name a host"),
        ("rtsp://cam:99999/1", "must name a port from 1 to 65535 behind the host"),
        ("rtsp://cam:0/1", "must name a port from 1 to 65535"),
        ("http://cam:/1", "must name a port from 1 to 65535"),
        ("rtsp://me:hun/ter2@cam/1", "behind the host; write / ? # in a password as %2F %3F %23"),
        ("udp://0.0.0.0", "must name a port, as in udp://0.0.0.0:5004"),
        ("udp://", "must name a port"),
        ("v4l2://", "must name a device, as in v4l2:///dev/video0"),
        ("v4l2://dev/video0", "must name a device"),
    ],
)
def test_an_address_that_can_never_work_is_tried_for_ever(source: str, says: str) -> None:
    why = impossible(source)
    assert why is not None and says in why and "hun" not in why


@pytest.mark.parametrize(
    "source",
    [
        "a.mp4", "/dev/video0", "file:///a.mp4", "testpattern://64x48@25", "rtsp://cam", "RTSP://cam/1", "rtsps://cam:322/1",
        "rtsp://me:hun@ter2:x@cam:554/1", "http://cam_1.local/video@2:3?x=1:2", "https://[fe80::1%eth0]:8443/live.m3u8",
        "http://cam?token=x", "udp://0.0.0.0:5004", "udp://:5004", "udp://@239.0.0.1:5004?pkt_size=1316",
        "v4l2:///dev/video0",
    ],
)  # fmt: skip
def test_an_address_that_may_work_is_refused(source: str) -> None:
    assert impossible(source) is None


@pytest.mark.parametrize(
    ("source", "path"),
    [("a.mp4", "a.mp4"), ("file:///x/two%20words.mp4", "/x/two words.mp4"), ("rtsp://cam/1", None)],
)
def test_a_path_is_told_from_an_address(source: str, path: str | None) -> None:
    assert local_path(source) == path


def test_the_home_folder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/a.mp4") == str(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("source", "live"),
    [("a.mp4", False), ("file:///a.mp4", False), ("testpattern://64x48@25", False), ("rtsp://cam/1", True)],
)
def test_only_what_sends_by_itself_is_live(source: str, live: bool) -> None:
    assert is_live(source) is live


def test_the_home_of_nobody_is_a_missing_file_and_no_crash() -> None:
    assert "no such file" in (missing(local_path("~nobody-of-that-name/a.mp4") or "") or "")
    assert relative_to(Path("/conf"), "~nobody-of-that-name/a.mp4") == "/conf/~nobody-of-that-name/a.mp4"


def test_a_relative_path_is_joined_to_the_folder_and_nothing_else_is() -> None:
    folder = Path("/conf")
    assert relative_to(folder, "a.mp4") == "/conf/a.mp4"
    assert relative_to(folder, "walk/*.jpg") == "/conf/walk/*.jpg"
    assert relative_to(folder, "/b/a.mp4") == "/b/a.mp4"
    assert relative_to(folder, "rtsp://cam/1") == "rtsp://cam/1"


def test_a_glob_in_a_folder_with_brackets_still_matches(tmp_path: Path) -> None:
    folder = tmp_path / "clips[old]"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(b"x")
    from stream.uri import expand

    assert list(expand(relative_to(folder, "*.jpg"))) == [folder / "1.jpg"]
