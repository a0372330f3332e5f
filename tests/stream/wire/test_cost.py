"""What a message costs, as ratios within one run: to the frame's JSON, which is written by C as well."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from stream.types import Mask
from stream.wire import pack, to_json
from tests.stream.wire.samples import make_result

HEIGHT, WIDTH = 160, 60


def seconds(work: Callable[[], object]) -> float:
    """The shortest of many calls."""
    times = []
    for _ in range(300):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def test_encoding_a_frame_of_twelve_people_and_their_masks_costs_more_than_its_json() -> None:
    result = make_result(people=12, size=(200, 200))
    ellipse = np.add.outer(np.linspace(-1, 1, HEIGHT) ** 2, np.linspace(-1, 1, WIDTH) ** 2) < 1
    body = seconds(lambda: pack(result))
    masks = seconds(lambda: [Mask.encode(ellipse, (0, 0)) for _ in range(12)])
    json = seconds(lambda: to_json(result))
    assert body < 0.3 * json, f"body {body * 1e6:.0f} us, JSON {json * 1e6:.0f} us"
    assert body + masks < json, f"body and masks {(body + masks) * 1e6:.0f} us, JSON {json * 1e6:.0f} us"


def test_a_mask_takes_more_bytes_than_it_may() -> None:
    for height, most in ((80, 200), (500, 1000)):
        outline = np.add.outer(np.linspace(-1, 1, height) ** 2, np.linspace(-1, 1, height * 2 // 5) ** 2)
        assert len(Mask.encode(outline < 1, (0, 0)).counts) < most
