"""How many streams are held: what counts as held, when the climb ends, and what is said when there was none."""

import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest

from benchmarks import memory, peers, streams_held
from benchmarks.measure import FailedError
from benchmarks.memory import camera, each_further
from benchmarks.peer_environments import UnavailableError
from benchmarks.streams_held import climb, held, most_held

GOOD = {"fps": 10.0, "p95_ms": 120.0, "dropped": 0}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"dropped": 1}, id="a-frame-was-dropped"),
        pytest.param({"p95_ms": 500.0}, id="too-late"),
        pytest.param({"fps": 9.0}, id="frames-never-came"),
    ],
)
def test_streams_pass_for_held_that_were_not(change: dict[str, Any]) -> None:
    assert held(GOOD, fps=10)
    assert not held(GOOD | change, fps=10)


def test_streams_of_which_nothing_came_pass_for_held() -> None:
    assert not held({"fps": 0.0, "dropped": 0}, fps=10)


def test_one_disturbed_attempt_ends_the_climb() -> None:
    disturbed = iter([GOOD, GOOD | {"dropped": 3}, GOOD])
    attempts = climb(lambda _: next(disturbed), fps=10, attempts=2, most=2)
    assert [(of["streams"], of["held"]) for of in attempts] == [(1, True), (2, False), (2, True)]
    assert most_held(attempts) == 2


def test_the_climb_goes_on_after_its_end() -> None:
    def attempt(streams: int) -> dict[str, Any]:
        return GOOD | {"dropped": 0 if streams < 3 else 9}

    attempts = climb(attempt, fps=10, attempts=2, most=12)
    assert [of["streams"] for of in attempts] == [1, 2, 3, 3]
    assert most_held(attempts) == 2


def test_whoever_breaks_down_under_too_many_streams_has_held_none() -> None:
    def attempt(streams: int) -> dict[str, Any]:
        if streams > 2:
            raise FailedError("not all streams came")
        return GOOD

    attempts = climb(attempt, fps=10, attempts=2, most=12)
    assert most_held(attempts) == 2 and attempts[-1]["failed"] == "not all streams came"
    with pytest.raises(FailedError):
        climb(lambda streams: attempt(streams + 2), fps=10, attempts=2, most=12)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    file = tmp_path / "clip.avi"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode())
    return file


@pytest.mark.parametrize("program", [peers, streams_held, memory])
def test_a_comparison_of_nobody_passes_for_one(
    program: ModuleType, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(*_: object) -> list[str | Path]:
        raise UnavailableError("there is no network")

    monkeypatch.setattr(program, "MEASURED" if program is memory else "CONTENDERS", {"rtmlib": nobody})
    monkeypatch.setattr(program, "use_cores", lambda _: {})
    monkeypatch.setattr(memory, "camera", lambda _: nullcontext("rtsp://nowhere"))
    monkeypatch.setattr(sys, "argv", ["program.py", str(clip)])
    with pytest.raises(SystemExit, match="all were left out, for the reasons above"):
        program.main()
    assert "rtmlib is left out: there is no network" in capsys.readouterr().err


def test_a_camera_that_has_ended_was_too_slow(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="ended before it was ready"), camera(tmp_path / "no.avi"):
        pass


def test_nothing_held_is_an_error() -> None:
    assert most_held(climb(lambda _: GOOD | {"fps": 1.0}, fps=10, attempts=1, most=5)) == 0


def test_a_further_stream_costs_as_much_as_all_of_them() -> None:
    rows = [{"streams": 8, "peak_mib": 440.0}, {"streams": 1, "peak_mib": 300.0}, {"streams": 2, "peak_mib": 999.0}]
    assert each_further(rows) == 20.0
    assert each_further(rows[:1]) is None
