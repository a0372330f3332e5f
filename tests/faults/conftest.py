"""What every test of this folder ends with: nothing is left behind, and no credential came out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.sources import process
from tests.faults.cameras import SECRET, Camera
from tests.faults.watching import children, wait_until


def descriptors() -> set[str]:
    return {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def segments() -> set[str]:
    return {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "peoplestream" in line}


@pytest.fixture(scope="session")
def neighbour() -> Iterator[Camera]:
    """A camera that nothing ever happens to."""
    if not process.supported:
        pytest.skip("decoders in processes of their own need Linux")
    with Camera() as camera:
        yield camera


@pytest.fixture(autouse=True)
def clean(neighbour: Camera, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    threads, processes, files = set(threading.enumerate()), children(), len(descriptors())
    shared = set(Path("/dev/shm").iterdir())
    with caplog.at_level(logging.DEBUG):
        yield
    wait_until(lambda: set(threading.enumerate()) <= threads, 5, "the end of all threads")
    assert children() == processes
    assert len(descriptors()) <= files, descriptors()
    assert not segments() and set(Path("/dev/shm").iterdir()) <= shared
    captured = capfd.readouterr()
    assert SECRET not in caplog.text + captured.out + captured.err
