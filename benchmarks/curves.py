"""How the cost grows: with the people in a frame, with the streams, with the size of the pictures."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.measure import CONFIGS
from models.tasks import Boxes, Float, Image
from stream.assembly import Assembly, assemble
from stream.config import Config, StreamConfig
from stream.measuring.bench import bench_decode, bench_tracker, bench_wire
from stream.metrics import Metrics
from stream.pipeline import Pipeline
from stream.settings import load_config
from stream.summary import RunSummary

PEOPLE = (1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 60)
STREAMS = (1, 2, 4, 8, 16, 32)
SIZES = ((320, 240), (640, 480), (768, 576), (1280, 720), (1920, 1080))

ROUNDS = 5
"""How often a stage is measured; the median counts."""

SHIFT = 3.0
"""Pixels by which a person who is looked at again is moved at most, so that nothing can be known from before."""


def people(video: Path, counts: Sequence[int] = PEOPLE) -> dict[str, Any]:
    """Milliseconds of every stage for one frame, by people in it.

    It is the same picture each time: the people who are found in it are looked at as often as it takes.
    """
    config = load_config(CONFIGS / "accurate.yaml", [], [str(video)])
    perception = assemble(config, Metrics()).perception
    image = middle_frame(video)
    found = perception.detect([image])[0]
    detector = median_ms(lambda: perception.detect([image]))
    tracker = bench_tracker(config, tuple(counts))["us_per_frame"]
    wire = bench_wire(tuple(counts))["by_people"]
    rows = []
    for count in counts:
        crowd = repeated(found, count)
        keypoints = perception.keypoints([image], [crowd])
        rows.append(
            {
                "people": count,
                "detector": detector,
                "pose": median_ms(lambda crowd=crowd: perception.keypoints([image], [crowd])),  # type: ignore[misc]
                "masks": median_ms(
                    lambda crowd=crowd, keypoints=keypoints: perception.masks([image], [crowd.xyxy], keypoints)  # type: ignore[misc]
                ),
                "tracker": tracker[str(count)] / 1e3,
                "wire": wire[str(count)]["encode_us"] / 1e3,
                "bytes": wire[str(count)]["bytes"],
            }
        )
    return {"video": video.name, "found": len(found.xyxy), "rows": rows}


def streams(video: Path, counts: Sequence[int] = STREAMS, seconds: float = 12.0) -> dict[str, Any]:
    """Frames per second of all streams together, by how many there are; all as fast as they can, in `balanced`."""
    config = load_config(CONFIGS / "balanced.yaml", [], [str(video)])
    assembly = assemble(config, Metrics())
    rows = []
    for count in counts:
        feeds = tuple(StreamConfig(id=f"s{number}", source=str(video), loop=True) for number in range(count))
        summary = stretch(config.model_copy(update={"streams": feeds}), assembly, seconds)
        rows.append({"streams": count, **shown(summary)})
    return {"video": video.name, "seconds": seconds, "batch": config.batch.size, "rows": rows}


def resolution(video: Path, sizes: Sequence[tuple[int, int]] = SIZES, frames: int = 100) -> dict[str, Any]:
    """Milliseconds a frame by the size of the pictures, in `accurate`; the detector's input stays the same."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        assembly: Assembly | None = None
        for width, height in sizes:
            clip = Path(folder) / f"{width}x{height}.mp4"
            scale(video, clip, (width, height), frames)
            config = load_config(CONFIGS / "accurate.yaml", [], [str(clip)])
            assembly = assembly or assemble(config, Metrics())
            decoded = bench_decode(config, frames)["fps"]
            summary = stretch(config, assembly, float("inf"))
            rows.append({"width": width, "height": height, "decode_ms": 1e3 / decoded, **shown(summary)})
    return {"video": video.name, "frames": frames, "codec": "h264", "rows": rows}


def stretch(config: Config, assembly: Assembly, seconds: float) -> RunSummary:
    """A run of at most so many seconds."""
    with Pipeline(config, assembly=assembly) as pipeline:
        return pipeline.run(duration=seconds)


def shown(summary: RunSummary) -> dict[str, float]:
    """Of a run what is compared."""
    return {
        "fps": summary.fps,
        "ms_per_frame": 1e3 * summary.seconds / max(summary.frames, 1),
        "people_per_frame": summary.people_per_frame,
        "latency_p50_ms": summary.latency.p50_ms,
    }


def repeated(found: Boxes, count: int) -> Boxes:
    """`count` people: those of `found` again and again, each a little elsewhere.

    Raises:
        ValueError: nobody was found.
    """
    if len(found.xyxy) == 0:
        raise ValueError("nobody is in the picture, so nobody can be looked at again")
    rows = np.array(list(islice(cycle(range(len(found.xyxy))), count)))
    shifts: Float = np.random.default_rng(count).uniform(-SHIFT, SHIFT, (count, 2)).astype(np.float32)
    return Boxes(found.xyxy[rows] + np.tile(shifts, 2), found.scores[rows])


def median_ms(work: Callable[[], object]) -> float:
    """Milliseconds of one call: the median of `ROUNDS`, after one that is not counted."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        rounds.append(1e3 * (time.perf_counter() - start))
    return statistics.median(rounds)


def middle_frame(video: Path) -> Image:
    """A frame from the middle of a video, where people are in view."""
    with pictures(video) as decoded:
        frames = list(decoded)
    return np.asarray(frames[len(frames) // 2].to_ndarray(format="bgr24"), np.uint8)


def scale(video: Path, target: Path, size: tuple[int, int], frames: int) -> None:
    """Write the first frames of a video anew as H.264, in another size."""
    with pictures(video) as decoded, av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for frame in islice(decoded, frames):
            picture = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            picture.pts = None
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


@contextmanager
def pictures(video: Path) -> Iterator[Iterator[av.VideoFrame]]:
    """The decoded frames of a video."""
    with av.open(str(video)) as container:
        yield container.decode(video=0)
