"""The examples, run against a live publisher: what they print is what was sent, masks included."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stream.types import FrameResult
from stream.wire import Publisher, StreamStatus
from tests.stream.wire.samples import make_info, make_result

EXAMPLES = Path(__file__).parents[3] / "examples"


def expected(sent: list[FrameResult]) -> list[str]:
    lines, after = [], {}
    for result in sent:
        lost = result.seq - after.get(result.stream, result.seq)
        after[result.stream] = result.seq + 1
        lines.append(f"{result.stream} frame {result.seq}, {lost} lost before it")
        for i, person in enumerate(result.people.ids):
            x, y, _ = result.people.keypoints[i, 0].tolist()
            rle = result.people.rle(i)
            mask = "no mask"
            if rle is not None:
                mask = f"mask of {rle.window().sum()} pixels at {rle.origin[0]}, {rle.origin[1]}"
            lines.append(f"  person {person}: nose at {x:.1f}, {y:.1f}; {mask}")
    return lines


def prints_what_is_sent(command: list[str]) -> None:
    sent = [make_result(stream, seq, people=7) for seq in (0, 1, 5) for stream in ("lobby", "gate")]
    with Publisher("tcp://127.0.0.1:0") as publisher:
        for stream in ("lobby", "gate"):
            publisher.announce(make_info(stream))
        process = subprocess.Popen(
            [*command, publisher.endpoint], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            publisher.wait_for_subscribers(["lobby"], 1, timeout=30)
            for result in sent:
                publisher.send(result)
            for stream in ("lobby", "gate"):
                publisher.report(StreamStatus(stream, 0, "ended", 6))
            printed, errors = process.communicate(timeout=30)
        finally:
            process.kill()
            process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert printed.splitlines() == expected(sent)


def test_python_without_this_package_reads_something_else() -> None:
    refuse = "import sys; sys.modules['stream'] = sys.modules['numpy'] = None; import runpy; "
    path = str(EXAMPLES / "python" / "subscriber.py")
    prints_what_is_sent([sys.executable, "-c", f"{refuse}runpy.run_path({path!r}, run_name='__main__')"])


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Node.js example with its packages."""
    if not (shutil.which("node") and (npm := shutil.which("npm"))):
        pytest.skip("Node.js and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    shutil.copytree(EXAMPLES / "node", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    try:
        done = subprocess.run([npm, "install", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, timeout=200)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not install zeromq and msgpack within 200 s")
    if done.returncode:
        pytest.skip(f"npm could not install zeromq and msgpack: {done.stderr.decode(errors='replace')[-300:]}")
    return folder


@pytest.mark.node
def test_node_reads_something_else(node_modules: Path) -> None:
    prints_what_is_sent(["node", str(node_modules / "subscriber.js")])
