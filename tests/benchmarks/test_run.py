"""All benchmarks together: none is forgotten, and none stops the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import run
from benchmarks.measure import CHAINS, CONFIGS, ROOT
from benchmarks.tables import TABLES


def test_a_benchmark_that_no_table_shows() -> None:
    assert {*run.BENCHMARKS, *run.PEERS} == set(TABLES)
    assert set(run.FULL.peers) == set(run.QUICK.peers) == set(run.PEERS)


def test_a_benchmark_that_fails_stops_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: run.Scope) -> dict[str, float]:
        raise OSError("the video is gone")

    monkeypatch.setattr(run, "BENCHMARKS", {"decode": fail, "wire": lambda scope: {"frames": scope.frames}})
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", "--results", str(tmp_path)])
    with pytest.raises(SystemExit, match="failed: decode"):
        run.main()
    [file] = tmp_path.glob("*/*.json")
    written = json.loads(file.read_text())
    assert file.name == "wire.json"
    assert written["quick"]
    assert written["command"] == "python -m benchmarks.run --quick"
    assert written["figures"] == {"frames": run.QUICK.frames}


@pytest.mark.parametrize(("trial", "folder"), [(["--quick"], "out/bench/results"), ([], "benchmarks/results")])
def test_a_trial_replaces_what_was_measured(
    trial: list[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "BENCHMARKS", {"wire": lambda _: {}})
    monkeypatch.setattr(sys, "argv", ["run.py", *trial])
    run.main()
    assert [file.parents[1] for file in tmp_path.rglob("wire.json")] == [tmp_path / folder]


def test_a_misspelt_name_measures_everything(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "decoed"])
    with pytest.raises(SystemExit):
        run.main()
    assert "no such benchmark: decoed; there are decode, " in capsys.readouterr().err


def test_a_run_goes_on_after_its_frames() -> None:
    class State:
        delivered = 8

    class Pipeline:
        streams = {"a": State(), "b": State()}  # noqa: RUF012
        stopped = 0

        def stop(self) -> None:
            self.stopped += 1

    pipeline = Pipeline()
    run.stop_after(17)(pipeline)
    assert not pipeline.stopped
    run.stop_after(16)(pipeline)
    assert pipeline.stopped


SMALL = ("detector.weights=random", "detector.height=64", "detector.width=64", "pose.model=null", "masks.model=null")


@pytest.mark.slow
@pytest.mark.parametrize("chain", ["our_chain.py", "our_streams.py"])
def test_our_own_chain_no_longer_fits_the_pipeline(chain: str, tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuvj420p"
        for _ in range(30):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode())
    config = CONFIGS / "accurate.yaml"
    arguments = {
        "our_chain.py": [clip, "10", config, *SMALL],
        "our_streams.py": ["0.5", "1", config, clip, clip, *(word for of in SMALL for word in ("--set", of))],
    }[chain]
    command = [sys.executable, CHAINS / chain, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PEOPLESTREAM_CACHE": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["fps"] > 0
