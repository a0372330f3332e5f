"""Our configurations and rtmlib on one video, one after another, several rounds: medians and ratios of one run.

Usage: python benchmarks/peers.py VIDEO [--frames 200] [--rounds 3] [--venvs FOLDER] [--json]

rtmlib comes from its own pip package in an environment of its own, which is made in FOLDER on the first run. Everybody
gets the same weights (YOLOX-tiny and RTMPose-s, the ONNX files of the zoo), the same frames and the whole machine. Its
detector looks at 416 x 416, the size that the file was exported for; ours at 480 x 640.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from pathlib import Path

from rich.console import Console
from rich.table import Table

from models.weights import fetch
from models.zoo import load_zoo

HERE = Path(__file__).parent
CONFIGS = HERE.parent / "configs"
PACKAGES = ("rtmlib", "onnxruntime", "openvino", "opencv-python-headless")
LIMIT = 1800.0
"""Seconds after which a chain is given up."""

OURS = {
    "accurate, no masks": ("accurate.yaml", "masks.model=null"),
    "balanced, no masks": ("balanced.yaml", "masks.model=null"),
    "accurate": ("accurate.yaml",),
    "balanced": ("balanced.yaml",),
    "fast": ("fast.yaml",),
}


def environment(folder: Path) -> Path:
    """The Python of the peers' environment, made where it is not there yet."""
    python = folder / "rtmlib" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "rtmlib", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=LIMIT)
    return python


def commands(video: Path, frames: int, peers: Path) -> dict[str, list[str]]:
    """What is run, by name."""
    files = [str(fetch(load_zoo().entry(name))) for name in ("yolox-tiny-humanart", "rtmpose-s-halpe26")]
    chain = [str(peers), str(HERE / "chains" / "rtmlib_chain.py"), str(video), *files]
    theirs = {f"rtmlib, {backend}": [*chain, backend, str(frames)] for backend in ("onnxruntime", "openvino")}
    own = [sys.executable, str(HERE / "chains" / "our_chain.py"), str(video)]
    ours = {name: [*own, str(CONFIGS / config), str(frames), *settings] for name, (config, *settings) in OURS.items()}
    return theirs | ours


def main() -> None:
    """Run everybody in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--venvs", type=Path, default=Path(".peers"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chains = commands(arguments.video.absolute(), arguments.frames, environment(arguments.venvs.absolute()))
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in chains}
    own = os.environ | {"PYTHONPATH": str(HERE.parent)}
    for _ in range(arguments.rounds):
        for name, command in chains.items():
            done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=own, check=False)
            if done.returncode:
                raise SystemExit(f"{name} failed: {done.stderr[-2000:]}")
            figures[name].append(json.loads(done.stdout.splitlines()[-1]))
    rows = {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in figures.items()
    }
    if arguments.json:
        sys.stdout.write(json.dumps({"rows": rows, "runs": figures}) + "\n")
        return
    table = Table(box=None, header_style="dim")
    for column in ("", "fps", "people a frame", "times rtmlib on OpenVINO"):
        table.add_column(column, justify="right" if column else "left")
    for name, row in rows.items():
        ratio = row["fps"] / rows["rtmlib, openvino"]["fps"]
        table.add_row(name, f"{row['fps']:.1f}", f"{row['people_per_frame']:.1f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
