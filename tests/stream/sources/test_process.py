"""A decoder in a process of its own: the same pictures, and nothing left behind however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stream.sources import process
from stream.sources.process import ProcessReader
from stream.sources.reader import SourceError
from stream.sources.slab import Slab
from stream.sources.video import VideoOptions, VideoReader
from tests.stream.sources.videos import corners, noise, open_stream, shades, write_video

pytestmark = pytest.mark.skipif(not process.supported, reason="needs memfd_create and SOCK_SEQPACKET, which Linux has")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[int]:
    """The processes that this one has started and that are not reaped."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = descriptors(), children()
    yield
    assert (descriptors(), children()) == before


def read(path: Path, name: str = "cam", *, memory_mb: int = 1024, **options: object) -> ProcessReader:
    return ProcessReader(name, str(path), VideoOptions(**options), memory_mb, Counter(), threading.Event())


def test_a_process_sees_other_pictures_than_a_thread(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(40))
    seen = []
    for isolation in ("thread", "process"):
        with open_stream(path, isolation=isolation) as source:
            seen.append([(frame.seq, frame.pts, frame.image) for frame in source])
    here, there = seen
    assert len(here) == len(there) == 40
    for ours, theirs in zip(here, there, strict=True):
        assert ours[:2] == theirs[:2] and np.array_equal(ours[2], theirs[2])


def test_a_file_loses_pictures_to_a_slow_taker(tmp_path: Path) -> None:
    reader = read(write_video(tmp_path / "a.mkv", shades(30)))
    values = []
    for picture in reader.pictures():
        time.sleep(0.02)
        values.append(int(picture.image[0, 0, 0]))
    reader.close()
    assert values == sorted(values) and len(values) == 30


def test_pictures_that_grow_do_not_fit_the_slots(tmp_path: Path) -> None:
    parts = [
        write_video(tmp_path / f"{i}.ts", [corners(*size)] * 10)
        for i, size in enumerate([(64, 48), (320, 240), (96, 64)])
    ]
    whole = tmp_path / "whole.ts"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    reader = read(whole)
    sizes = []
    for picture in reader.pictures():
        height, width = picture.image.shape[:2]
        sizes.append((width, height))
        assert np.abs(picture.image[-3, -3].astype(int) - 220).max() < 12, "a picture of another layout"
    reader.close()
    assert list(dict.fromkeys(sizes)) == [(64, 48), (320, 240), (96, 64)]


@pytest.mark.parametrize(
    ("hurt", "reason"),
    [
        (lambda pid: os.kill(pid, signal.SIGSEGV), r"its decoder crashed \(SIGSEGV\)$"),
        (lambda pid: os.kill(pid, signal.SIGSTOP), "its decoder hung and was killed$"),
    ],
    ids=["crashes", "hangs"],
)
def test_a_decoder_that_breaks_is_not_noticed(
    tmp_path: Path, hurt: Callable[[int], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SILENCE", 0.8)
    reader = read(write_video(tmp_path / "a.mkv", noise(100)))
    started = time.monotonic()
    pictures = reader.pictures()
    next(pictures)
    hurt(reader._process.pid)
    with pytest.raises(SourceError, match=reason) as failure:
        list(pictures)
    assert failure.value.fault == "crashed" and time.monotonic() - started < 5
    reader.close()


def test_a_decoder_that_leaks_takes_the_machine_down(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(10))
    with pytest.raises(SourceError, match=r"took \d+ MiB of memory, more than decode.memory_mb = 16") as failure:
        reader = read(path, memory_mb=16)
        for _ in reader.pictures():
            time.sleep(0.2)
    assert failure.value.fault == "memory"
    if "reader" in locals():
        reader.close()


def test_a_decoder_that_cannot_open_its_source_stays(tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(b"no video" * 100)
    with pytest.raises(SourceError, match="not a video, or cut off before its index$") as failure:
        read(tmp_path / "a.mkv")
    assert failure.value.fault == "corrupt"


def test_the_list_of_processes_shows_an_address_or_a_network_is_loaded(tmp_path: Path) -> None:
    reader = read(write_video(tmp_path / "hunter2.mkv", noise(100)), "lobby")
    next(iter(reader.pictures()))
    status = Path(f"/proc/{reader._process.pid}")
    command = (status / "cmdline").read_bytes()
    shown = command + (status / "environ").read_bytes() + (status / "comm").read_bytes()
    maps = (status / "maps").read_text()
    reader.close()
    assert b"hunter2" not in shown and b"lobby" in command
    assert "memfd:peoplestream" in maps and "libav" in maps
    assert "torch" not in maps and "openvino" not in maps


def test_what_the_decoder_skips_is_not_counted_here(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", noise(60))
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 3, 2 * len(content) // 3, 188 * 7):
        content[at + 20 : at + 120] = bytes(100)
    path.write_bytes(content)
    ours: Counter[str] = Counter()
    thread = VideoReader(str(path), VideoOptions(), ours)
    list(thread.pictures())
    thread.close()
    theirs: Counter[str] = Counter()
    reader = ProcessReader("cam", str(path), VideoOptions(), 1024, theirs, threading.Event())
    list(reader.pictures())
    reader.close()
    assert theirs == ours and ours["damaged"] > 0


def test_a_broken_decoder_reads_or_shrinks_what_is_not_its_own() -> None:
    slab, fd = Slab.create(2, 300)
    for slot, height, width in [(2, 1, 1), (-1, 1, 1), (0, 11, 10), (0, 0, 10), (0, -1, -1)]:
        with pytest.raises(ValueError, match="there is no room"):
            slab.read(slot, height, width)
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)  # whoever maps it would die of it
    slab.write(1, np.full((10, 10, 3), 7, np.uint8))
    assert slab.read(1, 10, 10).min() == 7 and slab.read(0, 10, 10).max() == 0
    slab.close()
    os.close(fd)


def test_a_decoder_takes_the_memory_of_libraries_that_it_has_no_use_for() -> None:
    code = (
        "import sys, stream.sources.decoder; sys.exit(bool({'pydantic', 'cv2', 'scipy', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
