"""Streams come and go a thousand times while another one runs."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.faults.cameras import Camera, free_port
from tests.faults.gauges import settled, table
from tests.faults.programs import Program
from tests.faults.watching import Listener, keeps_pace

AT_ONCE = 4
WARM_UP, TIMES = 200, 1000

MORE = {"main": 10.0, "descriptors": 0, "threads": 2, "maps": 20, "processes": 0, "shared": 0}
"""What may be held more after a thousand streams than before: MiB of memory, threads of the web server's pool."""


@pytest.mark.slow
def test_streams_that_come_and_go_leave_something_behind(neighbour: Camera, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with (
        Program(tmp_path, {"stays": neighbour.url}, web={"address": address}) as program,
        Listener(program.endpoint) as listener,
    ):
        listener.wait_for("stays", since=time.time())
        come_and_go(f"http://{address}", neighbour, 0, WARM_UP)
        before, labels = settled(program.pid, processes=1), requests.get(f"http://{address}/metrics", timeout=5).text
        began = time.time()
        come_and_go(f"http://{address}", neighbour, WARM_UP, TIMES)
        ended = time.time()
        after = settled(program.pid, processes=1)
        keeps_pace(listener.results["stays"], began, ended)
        assert names(requests.get(f"http://{address}/metrics", timeout=5).text) == names(labels)
        (left,) = requests.get(f"http://{address}/api/streams", timeout=5).json()["streams"]
        assert left["id"] == "stays" and not left["reconnects"]
        for name, more in MORE.items():
            assert getattr(after, name) <= getattr(before, name) + more, table([before, after])


def come_and_go(page: str, camera: Camera, first: int, times: int) -> None:
    """Add and remove so many streams, some at once; one of fifty is a camera, with a decoder of its own."""

    def one(number: int) -> None:
        source = camera.url if number % 50 == 0 else f"testpattern://96x64@25?frames={number % 3 + 1}"
        added = requests.post(f"{page}/api/streams", json={"id": f"s{number}", "source": source}, timeout=20)
        assert added.ok, added.text
        if number % 100 == 0:
            time.sleep(1)  # so that its decoder starts
        removed = requests.delete(f"{page}/api/streams/s{number}", timeout=20)
        assert removed.ok, removed.text

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(first, first + times)))


def names(metrics: str) -> set[str]:
    """Every metric with its labels."""
    return {line.rpartition(" ")[0] for line in metrics.splitlines() if not line.startswith("#")}
