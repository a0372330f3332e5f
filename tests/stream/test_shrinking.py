"""A batch that is too large for a GPU costs no frame, and is not tried again and again."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from models.tasks import Boxes, Image
from stream.assembly import Assembly
from stream.perception import Perception
from stream.pipeline import Pipeline
from stream.shrinking import Shrinking
from tests.stream.graphs import Walker, patterns


class Small:
    """A task whose memory holds `room` images; pairs each with what belongs to it."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def __call__(self, images: Sequence[Any], others: Sequence[Any]) -> list[Any]:
        self.tried.append(len(images))
        if len(images) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return list(zip(images, others, strict=True))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 9, 33])
def test_images_are_lost_or_mixed_up_in_a_batch_that_does_not_fit(count: int) -> None:
    images, others = list(range(count)), [f"of {number}" for number in range(count)]
    assert Shrinking(Small(room=2), "pose")(images, others) == list(zip(images, others, strict=True))


def test_a_size_that_does_not_fit_is_tried_at_every_batch(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int] = []
    task = Small(room=3)
    shrinking = Shrinking(task, "pose", lambda: told.append(1))
    shrinking(range(8), range(8))
    assert (task.tried, shrinking.images, len(told)) == ([8, 4, 2, 2, 2, 2], 2, 2)
    shrinking(range(5), range(5))
    assert task.tried[6:] == [2, 2, 1] and len(told) == 2
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings[0].startswith("pose: 8 images at once do not fit") and len(warnings) == 2


def test_a_batch_that_fits_is_split() -> None:
    task = Small(room=8)
    Shrinking(task, "pose")(range(8), range(8))
    assert task.tried == [8]


def test_an_image_that_never_fits_is_tried_for_ever() -> None:
    task = Small(room=0)
    with pytest.raises(torch.cuda.OutOfMemoryError, match="Tried to allocate"):
        Shrinking(task, "pose")(range(4), range(4))
    assert task.tried == [4, 2, 1]


def test_another_failure_is_taken_for_a_lack_of_memory() -> None:
    def broken(_: Sequence[Any]) -> list[Any]:
        raise RuntimeError("an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        Shrinking(broken, "detector")(range(4))


def test_a_task_on_a_gpu_gets_its_pictures_by_way_of_the_host() -> None:
    class OnDevice(Walker):
        takes_device_images = True

    assert Shrinking(OnDevice(), "detector").takes_device_images
    assert not Shrinking(Walker(), "detector").takes_device_images


def test_a_run_without_torch_imports_it_to_look_for_its_errors() -> None:
    code = (
        "import sys; from stream.shrinking import Shrinking\n"
        "def broken(images): raise RuntimeError('no memory')\n"
        "try: Shrinking(broken, 'a')([1, 2])\n"
        "except RuntimeError: assert 'torch' not in sys.modules\n"
        "else: raise AssertionError"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_a_run_ends_when_a_batch_does_not_fit() -> None:
    class Crowded(Walker):
        def __call__(self, images: Sequence[Image]) -> list[Boxes]:
            if len(images) > 1:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
            return super().__call__(images)

    with Pipeline(
        patterns("a", "b", "c", batch={"size": 3, "deadline_ms": 1000}),
        assembly=Assembly(Perception(Shrinking(Crowded(), "detector")), {"detector": "walker"}, {}, 1),
    ) as pipeline:
        summary = pipeline.run()
    assert [(stream.frames, stream.people) for stream in summary.streams] == [(20, 20)] * 3
