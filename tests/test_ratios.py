"""Speed as ratios within one run, with generous bounds: what gets twice as slow is noticed, what is noise is not."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from filterpy.common import Q_continuous_white_noise
from filterpy.kalman import KalmanFilter

from models.build import Builder, Execution
from models.zoo import load_zoo
from stream.bench import bench_pipeline
from stream.settings import load_config
from stream.tracking.kalman import BoxFilter
from tests.oracles.pretrained import RTMPOSE, pretrained, real_frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROUNDS = 7


def seconds(action: Callable[[], object]) -> float:
    """The fastest of some rounds: other work on the machine only ever adds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def textbook() -> KalmanFilter:
    """One coordinate of a box, as filterpy has it."""
    made = KalmanFilter(dim_x=2, dim_z=1)
    made.F = np.array([[1.0, 0.04], [0.0, 1.0]])
    made.H = np.array([[1.0, 0.0]])
    made.Q = Q_continuous_white_noise(2, 0.04, 1.0)
    return made


def test_the_filter_of_a_hundred_people_is_no_faster_than_a_loop_over_them() -> None:
    people = 100
    boxes = np.random.default_rng(0).uniform(0, 500, (people, 4))
    boxes[:, 2:] += boxes[:, :2] + 50
    ours = BoxFilter(0.35, 0.05)
    state = ours.initiate(boxes)
    rows = np.arange(people)

    def all_at_once() -> None:
        ours.predict(state, 0.04)
        ours.correct(state, rows, boxes)

    loop = [textbook() for _ in range(4 * people)]

    def one_by_one() -> None:
        for each, value in zip(loop, boxes.ravel().tolist(), strict=True):
            each.predict()
            each.update(value)

    assert seconds(all_at_once) * 20 < seconds(one_by_one)


@pytest.mark.weights
def test_people_in_a_batch_cost_more_than_one_by_one() -> None:
    pretrained(RTMPOSE)
    frame = real_frames()[0]
    random = np.random.default_rng(0)
    corners = random.uniform((0, 0), (600, 400), (8, 2))
    boxes = np.hstack([corners, corners + np.array([60, 150])]).astype(np.float32)
    pose = Builder(load_zoo()).pose(RTMPOSE, Execution(threads=2))
    pose([frame], [boxes])
    together = seconds(lambda: pose([frame], [boxes]))
    alone = seconds(lambda: [pose([frame], [boxes[row : row + 1]]) for row in range(len(boxes))])
    assert together < 1.3 * alone


@pytest.mark.weights
def test_what_is_around_the_networks_costs_as_much_as_they_do(tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    frames = real_frames()
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "yuvj420p"
        for number in range(24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[number % 2], format="bgr24")))
        container.mux(stream.encode())
    _, figures = bench_pipeline(load_config(None, ["masks.model=null"], [str(clip)]))
    assert figures["frames"] == 24
    assert figures["overhead"] < 2.0
