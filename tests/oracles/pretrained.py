"""Published weights and real frames for the tests that need them."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from models.errors import WeightsError
from models.tasks import Image
from models.weights import fetch
from models.zoo import load_zoo

YOLOX = "yolox-tiny-humanart"
RTMPOSE = "rtmpose-s-halpe26"


def pretrained(name: str) -> Path:
    """The file of this model or asset of the zoo; skips the test where it cannot be had."""
    try:
        return fetch(load_zoo().find(name))
    except WeightsError as error:
        pytest.skip(str(error))


def real_frames() -> list[Image]:
    """Five frames of the demo video, 768x576, with four to eight people each."""
    video = cv2.VideoCapture(str(pretrained("vtest")))
    frames = []
    for number in (0, 150, 300, 450, 600):
        video.set(cv2.CAP_PROP_POS_FRAMES, number)
        found, frame = video.read()
        assert found, f"the demo video has no frame {number}"
        frames.append(frame)
    return frames
