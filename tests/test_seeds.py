"""Every configuration of a published system runs end to end on a real video, with its weights or plainly without."""

from __future__ import annotations

import logging
from pathlib import Path

import av
import numpy as np
import pytest

from models.zoo import load_zoo
from stream import FrameResult, Pipeline, load_config
from tests.oracles.pretrained import pretrained, real_frames

pytestmark = [pytest.mark.weights, pytest.mark.slow, pytest.mark.timeout(600)]

SEEDS = sorted((Path(__file__).parents[1] / "configs" / "seeds").glob("*.yaml"))

FRAMES = 2

FINDS_NOBODY = {"personlab"}
"""A bottom-up network whose weights are random: its maps connect no five joints to a person."""


SMALLER = {"personlab": ["detector.height=192", "detector.width=256"]}
"""The clip is small, too; so the heaviest network needs seconds."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the demo video, halved, so that the heaviest network needs seconds."""
    pretrained("vtest")
    path = tmp_path_factory.mktemp("video") / "clip.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 384, 288, "yuvj420p"
        for image in [frame[::2, ::2] for frame in real_frames()[:1]] * FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")))
        container.mux(stream.encode())
    return path


def test_a_system_is_missing() -> None:
    systems = {"yolov3_pose_contour", "hourglass", "personlab", "fcn8", "pose2seg", "simplebaseline"}
    assert {path.stem for path in SEEDS} == systems


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_a_published_system_does_not_run_on_video(path: Path, clip: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load_config(path, SMALLER.get(path.stem, []), [str(clip)])
    results: list[FrameResult] = []
    with caplog.at_level(logging.WARNING), Pipeline(config, on_result=results.append) as pipeline:
        summary = pipeline.run()
    assert summary.frames == FRAMES == len(results) and summary.dropped == 0
    assert [stream.error for stream in summary.streams] == [None]
    zoo = load_zoo()
    for role, section in (("detector", config.detector), ("pose", config.pose), ("masks", config.masks)):
        if section.model is not None:
            assert summary.models[role] == section.model
            said = f"{section.model} runs with random weights" in caplog.text
            assert said == (section.weights == "random")
    with_masks = config.masks.model is not None or "masks" in zoo.entry(config.detector.model, "detector").gives
    found = sum(len(result.people) for result in results)
    assert (found == 0) == (path.stem in FINDS_NOBODY), "nobody was found: nothing was tried"
    for result in results:
        people = result.people
        assert np.isfinite(people.boxes).all() and np.isfinite(people.keypoints).all()
        assert (people.ids > 0).all()
        assert (people.keypoints[..., 2] >= 0).all() and (people.keypoints[..., 2] <= 1).all()
        assert len(people.masks) == (len(people) if with_masks else 0)
