"""Benchmarks measure what they say, and hold the ratios that the docs promise."""

from __future__ import annotations

import time

import numpy as np
import pytest

from models.tasks import Float, Image
from stream.config import Config
from stream.measuring.bench import Crowd, Sampler, bench_decode, bench_tracker, bench_wire
from tests.stream.graphs import patterns


def slow(pixels: Image) -> tuple[Float, ...]:
    time.sleep(0.002 * len(pixels))
    return (np.zeros((len(pixels), 1), np.float32),)


def test_the_networks_alone_are_charged_for_calls_that_were_not_made() -> None:
    sampler = Sampler()
    run = sampler.wrap("detector", slow)
    for _ in range(16):
        run(np.zeros((2, 4, 4, 3), np.uint8))
    alone = sampler.alone_ms(frames=32)
    assert alone["detector"] == pytest.approx(2, rel=0.5)


def test_a_batch_is_changed_before_it_is_run_again() -> None:
    sampler = Sampler()
    seen: list[int] = []

    def remember(pixels: Image) -> tuple[Float, ...]:
        seen.append(int(pixels[0, 0, 0, 0]))
        return ()

    run = sampler.wrap("pose", remember)
    pixels = np.full((1, 1, 1, 3), 7, np.uint8)
    run(pixels)
    pixels[:] = 0
    sampler.alone_ms(frames=1)
    assert set(seen) == {7}


def test_a_benchmark_of_decoding_counts_other_frames_than_it_read() -> None:
    figures = bench_decode(patterns("a", frames=12), frames=8)
    assert figures["frames"] == 8 and figures["fps"] > 0
    assert (figures["width"], figures["height"]) == (96, 64)


def test_the_tracker_is_not_batched() -> None:
    """A hundred people cost far less than a hundred times one person: a ratio in one run, with a generous bound."""
    figures = bench_tracker(Config(), people=(1, 100), frames=60)["us_per_frame"]
    assert figures["100"] < 30 * figures["1"]


def test_a_message_of_twelve_people_with_masks_is_large() -> None:
    figures = bench_wire(people=(12,), frames=20)["by_people"]["12"]
    assert figures["bytes"] < 12 * 1024


def test_made_up_people_jump() -> None:
    crowd = Crowd(5)
    moved = np.abs(crowd.at(0.04).boxes - crowd.at(0.0).boxes).max()
    assert 0 < moved < 20
