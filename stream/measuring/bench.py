"""How fast this machine is, stage by stage; each figure is measured with the code that runs on streams."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from models.backends import Input, probe
from models.machine import machine
from models.tasks import TensorRunner
from stream.assembly import assemble
from stream.config import Config
from stream.measuring.trace import TracedMetrics
from stream.metrics import Metrics
from stream.pipeline import Pipeline
from stream.runners import around
from stream.sources.nvdec import Hardware
from stream.sources.opening import open_source
from stream.summary import RunSummary
from stream.tracking import Tracker
from stream.types import FrameResult, Mask, People
from stream.wire import pack, unpack

SAMPLE_EVERY = 8
"""Of so many calls of a network one is kept, by chance, to be run again alone."""

ROUNDS = 5
"""How often something is measured; the median counts."""


class Sampler:
    """Keeps some of the batches that the networks get in a run, to measure the networks alone on them afterwards."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._dice = random.Random(0)  # every eighth call might be that of a detection each time
        self._batches: defaultdict[str, list[Callable[[], tuple[Any, ...]]]] = defaultdict(list)

    def wrap(self, name: str, runner: TensorRunner, _inputs: tuple[Input, ...] = ()) -> TensorRunner:
        """`runner`, whose inputs are looked at on their way; see `models.build.Wrap`."""

        def sample(run: Callable[..., tuple[Any, ...]], inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            if not self._calls[name] or not self._dice.randrange(SAMPLE_EVERY):
                self._batches[name].append(partial(run, *map(_copied, inputs)))
            self._calls[name] += 1
            return run(*inputs)

        return around(runner, sample)

    def alone_ms(self, frames: int) -> dict[str, float]:
        """Milliseconds a frame that each network needs when nothing else runs, over a run of so many frames."""
        return {
            name: _median_ms(partial(self._again, name)) / len(self._batches[name]) * calls / frames
            for name, calls in self._calls.items()
        }

    def _again(self, name: str) -> None:
        outputs: tuple[Any, ...] = ()
        for batch in self._batches[name]:
            outputs = batch()
        if any(getattr(output, "is_cuda", False) for output in outputs):
            import torch

            torch.cuda.synchronize()


def _copied(batch: Any) -> Any:
    """A copy of an array or of a tensor."""
    return batch.clone() if hasattr(batch, "clone") else batch.copy()


def bench_pipeline(
    config: Config, on_tick: Callable[[Pipeline], None] | None = None, trace: Path | None = None
) -> tuple[RunSummary, dict[str, Any]]:
    """The whole chain, and beside it the networks alone on the same batches in the same run.

    Returns:
        The run's summary; and its JSON with, in addition, `model_ms` by role (alone, a frame), `frame_ms`, and
        `overhead`, the ratio of `frame_ms` to the sum of `model_ms`. With `trace`, a file, the run is traced into it.

    Raises:
        OSError: the trace cannot be written.
    """
    sampler, metrics = Sampler(), TracedMetrics() if trace else Metrics()
    assembly = assemble(config, metrics, wrap=sampler.wrap)
    with Pipeline(config, assembly=assembly, metrics=metrics) as pipeline:
        summary = pipeline.run(on_tick=(lambda: on_tick(pipeline)) if on_tick else None)
    if trace is not None and isinstance(metrics, TracedMetrics):
        metrics.write_trace(trace)
    if not summary.frames:
        return summary, summary.as_json()
    alone = sampler.alone_ms(summary.frames)
    frame_ms = 1e3 * summary.seconds / summary.frames
    return summary, summary.as_json() | {
        "frame_ms": round(frame_ms, 3),
        "model_ms": {role: round(ms, 3) for role, ms in alone.items()},
        "overhead": round(frame_ms / sum(alone.values()), 4),
    }


def bench_decode(config: Config, frames: int) -> dict[str, Any]:
    """Decoding to BGR alone: frames per second of the first stream of `config`, over at most `frames` frames."""
    stream = config.streams[0]
    hardware = Hardware(config.decode)
    rates, count = [], 0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        with open_source(stream, config.decode, hardware=hardware) as source:
            count = sum(1 for _ in islice(source, frames))
            info, decoding = source.info, source.decoding
        rates.append(count / (time.perf_counter() - start))
    return {
        "fps": round(float(np.median(rates)), 1),
        "frames": count,
        "width": info.width,
        "height": info.height,
        "threads": config.decode.threads,
        "decoder": decoding.decoder,
        "decoder_reason": decoding.reason,
        "machine": machine(),
    }


def bench_infer(config: Config, batches: tuple[int, ...] = (1, 2, 4, 8)) -> dict[str, Any]:
    """Each network alone: milliseconds an image or a person, by batch size, on noise."""
    parts: dict[str, tuple[TensorRunner, tuple[Input, ...]]] = {}

    def keep(name: str, runner: TensorRunner, inputs: tuple[Input, ...]) -> TensorRunner:
        parts[name] = runner, inputs
        return runner

    assembly = assemble(config, Metrics(), wrap=keep)
    networks = {}
    for name, (runner, inputs) in parts.items():
        by_batch = {}
        for batch in batches:
            by_batch[str(batch)] = round(_median_ms(partial(runner, *probe(inputs, batch))) / batch, 3)
        choice = assembly.choices[name]
        networks[name] = {
            "model": assembly.models[name.partition("/")[0]],
            "backend": choice.backend,
            "precision": choice.precision,
            "input": [list(of.shape) for of in inputs] if len(inputs) > 1 else list(inputs[0].shape),
            "ms_by_batch": by_batch,
        }
    return {"networks": networks, "threads": assembly.threads, "machine": machine()}


@dataclass(frozen=True, slots=True)
class Crowd:
    """Made-up people who walk straight on, the same at every call."""

    count: int
    masks: bool = False

    def at(self, seconds: float) -> People:
        """Everybody `seconds` after the start, in a frame of 1920 x 1080."""
        random = np.random.default_rng(self.count)
        start = random.uniform((0, 0), (1800, 900), (self.count, 2))
        velocity = random.uniform(-60, 60, (self.count, 2))
        corner = start + velocity * seconds
        noise = np.random.default_rng(int(seconds * 1000)).normal(0, 1, corner.shape)
        boxes = np.hstack([corner + noise, corner + noise + (60, 160)]).astype(np.float32)
        keypoints = np.empty((self.count, 17, 3), np.float32)
        keypoints[..., :2] = boxes[:, None, :2] + random.uniform((10, 10), (50, 150), (17, 2))
        keypoints[..., 2] = 0.8
        ellipse = np.add.outer(np.linspace(-1, 1, 160) ** 2, np.linspace(-1, 1, 60) ** 2) < 1
        encoded = tuple(Mask.encode(ellipse, (int(x), int(y))) for x, y in corner) if self.masks else ()
        return People.untracked(
            boxes, np.full(self.count, 0.9, np.float32), keypoints, encoded, frame_size=(1080, 1920)
        )


def bench_tracker(config: Config, people: tuple[int, ...] = (6, 12, 100), frames: int = 200) -> dict[str, Any]:
    """The tracker alone: microseconds a frame, by people in it, at 25 frames per second."""
    microseconds = {}
    for count in people:
        crowd = [Crowd(count).at(frame / 25) for frame in range(frames)]

        def follow(crowd: list[People] = crowd) -> None:
            tracker = Tracker(config.track)
            for frame, seen in enumerate(crowd):
                tracker.update(seen, frame / 25)

        microseconds[str(count)] = round(_median_ms(follow) * 1e3 / frames, 1)
    return {"us_per_frame": microseconds, "frames": frames, "machine": machine()}


def bench_wire(people: tuple[int, ...] = (1, 12, 100), frames: int = 200) -> dict[str, Any]:
    """Messages: bytes, and microseconds to encode and to decode one, by people in it, each with a mask."""
    by_people = {}
    for count in people:
        seen = Crowd(count, masks=True).at(0)
        result = FrameResult("bench", 0, 0, 0.0, 0.0, "file", 0.0, 1920, 1080, seen)
        body = pack(result)
        encode = _median_ms(partial(pack, result), times=frames)
        decode = _median_ms(partial(unpack, b"people/bench", body), times=frames)
        by_people[str(count)] = {
            "bytes": len(body),
            "encode_us": round(encode * 1e3, 1),
            "decode_us": round(decode * 1e3, 1),
        }
    return {"by_people": by_people, "machine": machine()}


def _median_ms(work: Callable[[], object], times: int = 1) -> float:
    """Milliseconds of one call: the median of `ROUNDS` rounds of so many calls, after one that is not counted."""
    work()
    rounds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(times):
            work()
        rounds.append((time.perf_counter() - start) / times)
    return float(np.median(rounds)) * 1e3
