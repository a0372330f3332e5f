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
from stream.config import TrackConfig
from stream.measuring.bench import bench_pipeline
from stream.settings import load_config
from stream.tracking import Tracker
from stream.tracking.kalman import BoxFilter
from stream.types import People
from tests.oracles.pretrained import RTMPOSE, pretrained, real_frames
from tests.stream.tracking.scenes import people, person

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


def textbook(coordinates: int = 1) -> KalmanFilter:
    """Coordinates of a box, each with its rate, as filterpy has it."""
    made = KalmanFilter(dim_x=2 * coordinates, dim_z=coordinates)
    made.F = np.kron(np.eye(coordinates), [[1.0, 0.04], [0.0, 1.0]])
    made.H = np.kron(np.eye(coordinates), [1.0, 0.0])
    made.Q = np.kron(np.eye(coordinates), Q_continuous_white_noise(2, 0.04, 1.0))
    return made


def test_the_filter_of_a_hundred_people_is_no_faster_than_a_loop_over_them() -> None:
    count = 100
    boxes = np.random.default_rng(0).uniform(0, 500, (count, 4))
    boxes[:, 2:] += boxes[:, :2] + 50
    ours = BoxFilter(0.35, 0.05)
    state = ours.initiate(boxes)
    rows = np.arange(count)

    def all_at_once() -> None:
        ours.predict(state, 0.04)
        ours.correct(state, rows, boxes)

    loop = [textbook() for _ in range(4 * count)]

    def one_by_one() -> None:
        for each, value in zip(loop, boxes.ravel().tolist(), strict=True):
            each.predict()
            each.update(value)

    assert seconds(all_at_once) * 20 < seconds(one_by_one)


def walk(count: int, frames: int = 40) -> list[People]:
    """So many people in rows and columns who all walk to the right, 25 frames a second."""
    places = [(190 * (n % 10) + 60, 105 * (n // 10) + 60) for n in range(count)]
    return [
        people(*(person(x + frame, y, height=100, pose=n) for n, (x, y) in enumerate(places)))
        for frame in range(frames)
    ]


def follow(walkers: list[People]) -> None:
    """The whole tracker with its default settings."""
    tracker = Tracker(TrackConfig())
    for frame, found in enumerate(walkers):
        assert len(tracker.update(found, frame / 25)) == len(found)


def test_following_six_people_costs_more_than_a_loop_of_filters_alone() -> None:
    walkers = walk(6)

    def loop() -> None:
        filters = [textbook(coordinates=4) for _ in range(6)]
        for found in walkers:
            for each, box in zip(filters, found.boxes, strict=True):
                each.predict()
                each.update(box)

    assert seconds(lambda: follow(walkers)) < seconds(loop)


def test_following_a_hundred_people_is_a_loop_over_them() -> None:
    six, hundred = walk(6), walk(100)
    assert seconds(lambda: follow(hundred)) < 8 * seconds(lambda: follow(six))


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
