"""Frames with results to draw and record, disks that are full, and what a recording holds."""

from __future__ import annotations

import io
import json
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import zstandard

from stream.types import FrameResult, Image
from stream.wire import from_json
from tests.stream.wire.samples import make_result


def make_frame(result: FrameResult) -> Image:
    """A picture for a result; it moves from frame to frame and compresses badly."""
    rng = np.random.default_rng(7)
    return np.roll(rng.integers(0, 255, (result.height, result.width, 3), np.uint8), 3 * result.seq, axis=1)


def make_scene(
    frames: int, *, size: tuple[int, int] = (96, 128), people: int = 3
) -> Iterator[tuple[FrameResult, Image]]:
    """Results of one stream and their pictures."""
    for seq in range(frames):
        result = make_result(seq=seq, people=people, size=size)
        yield result, make_frame(result)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file of this process can grow beyond `room` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def tiny_disk(folder: Path, room: int) -> Iterator[None]:
    """`folder` is a disk of `room` bytes: a real one where we may mount it, otherwise a limit on its files."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}", "peoplestream-test", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:  # there is no such command
        mounted = False
    if not mounted:
        with full_disk(room):
            yield
        return
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def recorded_seqs(path: Path) -> list[int]:
    """`seq` of every frame in a text recording, once; of MOT and COCO those with people, of a cut line nothing."""
    if path.suffix == ".json":
        return sorted({entry["image_id"] for entry in json.loads(path.read_text())})
    lines = recorded_lines(path)
    if path.suffix == ".txt":
        return sorted({int(line.split(",")[0]) - 1 for line in lines})
    return [from_json(line).seq for line in lines]


def recorded_lines(path: Path) -> list[str]:
    """The whole lines of a recording, decompressed."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data.decode().split("\n")[:-1]


def times(path: Path) -> list[float]:
    """When each frame of a video is shown, seconds."""
    with av.open(str(path)) as video:
        return [round(float(frame.time or 0), 4) for frame in video.decode(video=0)]
