"""`peoplestream run --gpus`: workers that are left behind, not told of, or not told to stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.errors import CommandError, ExitCode
from stream.cli.workers import parse_gpus, parse_shard, run_workers


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `stream.cli` that does what the test writes into this file; the workers take it for the real one."""
    package = tmp_path / "stream"
    (package / "cli").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return package / "cli" / "__init__.py"


def write(command: Path, body: str) -> None:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    command.write_text(
        f"import json, os, signal, sys, time\ndef main():\n    gpu = os.environ['CUDA_VISIBLE_DEVICES']\n{lines}\n"
    )


def test_a_worker_gets_another_gpu_or_another_part(command: Path) -> None:
    write(command, "print(json.dumps({'gpu': gpu, 'arguments': sys.argv[1:]}))")
    summaries = run_workers(["0", "3"], ["a.yaml"], ["--debug"])
    given = ["--debug", "run", "a.yaml", "--shard"]
    assert summaries == {
        "0": {"gpu": "0", "arguments": [*given, "0/2", "--json"]},
        "3": {"gpu": "3", "arguments": [*given, "1/2", "--json"]},
    }


def test_two_workers_of_one_gpu_are_taken_for_one(command: Path) -> None:
    write(command, "print(json.dumps([gpu, sys.argv[-2]]))")
    assert run_workers(parse_gpus("1,0,1"), []) == {"1.1": ["1", "0/3"], "0": ["0", "1/3"], "1.2": ["1", "2/3"]}


def test_a_worker_that_fails_takes_the_others_along(command: Path, tmp_path: Path) -> None:
    done = tmp_path / "done"
    write(command, f"if gpu == '0': sys.exit(4)\ntime.sleep(1)\nopen({str(done)!r}, 'w').close()\nprint('{{}}')")
    with pytest.raises(CommandError, match="1 of 2 workers failed") as failure:
        run_workers(["0", "1"], [])
    assert failure.value.code == ExitCode.NO_WEIGHTS and done.exists()


def test_a_worker_that_crashes_is_a_success(command: Path) -> None:
    write(command, "os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(CommandError) as failure:
        run_workers(["0"], [])
    assert failure.value.code == ExitCode.FAILED


def test_a_worker_that_prints_no_summary_breaks_the_rest(command: Path) -> None:
    write(command, "print('{}' if gpu == '1' else 'no JSON at all')")
    assert run_workers(["0", "1"], []) == {"0": None, "1": {}}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_workers_are_left_behind_when_the_parent_is_told_to_stop(
    command: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    write(
        command,
        f"open({str(tmp_path)!r} + '/pid' + gpu, 'w').write(str(os.getpid()))\n"
        "for of in (signal.SIGINT, signal.SIGTERM):\n    signal.signal(of, lambda *_: sys.exit(0))\n"
        "time.sleep(60)",
    )
    program = (
        "import sys; from stream.cli.workers import run_workers\n"
        f"sys.path.insert(0, {str(tmp_path)!r}); run_workers(['0', '1'], [])"
    )
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path[1:])}
    )
    files = [tmp_path / "pid0", tmp_path / "pid1"]
    deadline = time.monotonic() + 30
    try:
        while not all(file.exists() and file.read_text() for file in files) and time.monotonic() < deadline:
            time.sleep(0.05)
        pids = [int(file.read_text()) for file in files]
        parent.send_signal(number)
        assert parent.wait(20) == code
        while any(map(alive, pids)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(alive, pids))
    finally:
        parent.kill()


@pytest.mark.parametrize("text", ["", "a", "0,", "-1", "0;1"])
def test_something_is_taken_for_gpus(text: str) -> None:
    with pytest.raises(CommandError, match="give a GPU's number for each worker"):
        parse_gpus(text)


@pytest.mark.parametrize("text", ["2/2", "1", "a/b", "/2", "-1/2", "0/0"])
def test_something_is_taken_for_a_part(text: str) -> None:
    with pytest.raises(CommandError, match="give INDEX/COUNT"):
        parse_shard(text)


def run(*arguments: str) -> tuple[int, str]:
    sources = [of for number in range(3) for of in ("--source", f"testpattern://96x64@25?frames={5 + number}")]
    ran = CliRunner().invoke(app, ["run", *sources, *arguments])
    return ran.exit_code, ran.stdout if ran.exception is None else str(ran.exception)


NO_NETWORKS = ["--set", "detector.weights=random", "--set", "pose.model=null", "--set", "masks.model=null"]


@pytest.mark.slow
def test_the_streams_of_a_run_on_two_gpus_are_not_all_watched() -> None:
    """Two real workers, on the processor where there is no GPU."""
    small = ["--set", "detector.height=64", "--set", "detector.width=64", "--set", "detector.backend=torch"]
    code, printed = run("--gpus", "0,1", "--json", *NO_NETWORKS, *small)
    assert code == 0, printed
    summaries = json.loads(printed)["gpus"]
    frames = {gpu: sorted(stream["frames"] for stream in of["streams"]) for gpu, of in summaries.items()}
    assert frames == {"0": [5, 7], "1": [6]}


def test_addresses_that_clash_are_found_out_by_the_workers() -> None:
    code, said = run("--gpus", "0,1", "--publish", "tcp://127.0.0.1:5555", "--control", "tcp://127.0.0.1:5565")
    assert code == 1 and "two workers would listen at port 5565" in said
