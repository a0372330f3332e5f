"""Measuring programs: their figures, their failures, their memory."""

import os
import subprocess
import sys

import pytest

from benchmarks.measure import FailedError, Memory, family, medians, run, shown_command, slug

HOLD_100_MIB = "held = bytearray(100 << 20); held[::4096] = b'1' * (100 << 8)"


def program(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_figures_that_are_not_in_the_last_line_of_a_talkative_program() -> None:
    figures = run(program("""print("loading"); print("done"); print('{"fps": 2.5}')"""), dict(os.environ))
    assert figures["fps"] == 2.5
    assert figures["peak_mib"] > 0


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise SystemExit('no such video')", "ended with 1: no such video"),
        ("print('nothing of note')", "printed no figures"),
        ("", "printed no figures"),
        ("import time; time.sleep(60)", "was not done in 1 s"),
    ],
)
def test_a_program_that_failed_passes_for_measured(code: str, says: str) -> None:
    with pytest.raises(FailedError, match=says):
        run(program(code), dict(os.environ), limit=1 if "sleep" in code else 60)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_of_a_child_process_is_not_counted() -> None:
    code = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {HOLD_100_MIB + "; print('ready', flush=True); input()"!r}],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
input()
child.communicate(b"\\n")
"""
    process = subprocess.Popen(program(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(family(process.pid)) == 2
        memory = Memory(process.pid)
        memory.look()
        assert memory.peak_mib > 100
        assert memory.steady_mib > 100
    finally:
        process.communicate("\n", timeout=30)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_peak_between_two_looks_is_missed() -> None:
    code = HOLD_100_MIB + "; del held; print('ready', flush=True); input()"
    process = subprocess.Popen(program(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        memory = Memory(process.pid)
        memory.look()
        assert memory.peak_mib > 100
        assert memory.steady_mib < 100
    finally:
        process.communicate("\n", timeout=30)


def test_a_process_that_is_gone_stops_the_measurement() -> None:
    process = subprocess.Popen(program(""))
    process.wait()
    memory = Memory(process.pid)
    memory.look()
    assert (memory.peak_mib, memory.steady_mib) == (0, 0)


def test_one_slow_round_decides() -> None:
    runs = [{"fps": 10.0, "peak_mib": 300.0}, {"fps": 2.0, "peak_mib": 310.0}, {"fps": 11.0, "peak_mib": 900.0}]
    assert medians(runs) == {"fps": 10.0, "peak_mib": 310.0}


@pytest.mark.parametrize(
    ("processor", "name"),
    [
        ("AMD EPYC", "amd-epyc-2-cores"),
        ("Intel(R) Xeon(R) Gold 6226R CPU @ 2.90GHz", "intel-xeon-gold-6226r-2-cores"),
        ("../../etc", "etc-2-cores"),
    ],
)
def test_a_machine_whose_name_is_no_name_of_a_folder(processor: str, name: str) -> None:
    assert slug({"processor": processor, "cores": 2}) == name


def test_a_path_of_this_machine_gets_into_the_results() -> None:
    argv = [
        "/home/me/benchmarks/peers.py",
        "/home/me/vtest.avi",
        "--venvs",
        "/home/me/venvs",
        "--only",
        "MediaPipe Pose",
    ]
    assert shown_command(argv) == "python -m benchmarks.peers vtest.avi --only 'MediaPipe Pose'"
