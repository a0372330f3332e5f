"""Networks in int8: quantised on pictures like those that they will see, and kept if that costs little and pays."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.backends import Backend, Input
from models.backends.cache import Build, Engine, EngineCache, EngineKey, Record
from models.backends.int8 import CalibratingBackend, Sample
from models.build import RANDOM
from models.errors import LabelsError
from models.evaluate.coco import CocoImage, CocoPersons
from models.tasks import Float, TensorRunner
from models.zoo import Role
from stream.assembly import Assembly, assemble
from stream.config import Config
from stream.measuring.evaluation import coco_scores
from stream.metrics import Metrics

LARGEST_LOSS = 0.01
"""Of AP, against float32: what int8 may cost at most."""

SAMPLES = 100
"""Of what a network is given, at most: on more, its ranges hardly change."""

LOWEST_SCORE = 0.01
"""Of people whose accuracy is measured: every score counts in AP."""

_PEOPLE = 8
"""In a batch whose time is taken; of pictures it is one."""

_ROUNDS = 30
"""The shortest of so many calls is how long a network takes."""

Show = Callable[[Iterable[CocoImage], str], Iterable[CocoImage]]
"""Wraps the iteration over pictures; told what is being done with them."""


class CalibrationError(Exception):
    """A network is not kept in int8; the message says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What int8 is worth.

    Attributes:
        ap: what was measured ("box", "keypoints", "masks") -> AP in float32 and in int8, of the same pictures.
        images: how many pictures.
        against: the precision that `auto` takes otherwise.
        speed: how many times as fast as that it is.
    """

    ap: Mapping[str, tuple[float, float]]
    images: int
    against: str
    speed: float

    @property
    def loss(self) -> float:
        """The largest loss of AP."""
        return max(exact - int8 for exact, int8 in self.ap.values())

    @property
    def accuracy(self) -> str:
        """In words."""
        figures = (f"{kind} AP {int8:.3f} instead of {exact:.3f}" for kind, (exact, int8) in self.ap.items())
        return f"{', '.join(figures)} in float32, on {self.images} pictures"

    def __str__(self) -> str:
        return f"{self.accuracy}, and {self.speed:.2f} times as fast as {self.against}"


def calibrate(
    config: Config,
    role: Role,
    pictures: Sequence[CocoImage],
    check: CocoPersons,
    engines: EngineCache | None = None,
    show: Show = lambda images, _: images,
) -> Finding:
    """Quantise the networks that serve `role` in `config`; keep them where a run will look, if they are worth it.

    Args:
        config: its networks up to that role find people in the pictures and make what comes before.
        role: whose networks.
        pictures: on which ranges are measured; no labels are needed.
        check: other pictures, on which AP is.
        engines: where networks are kept; None: beside the weights.
        show: see `Show`.

    Raises:
        CalibrationError: it has no networks, they saw nothing, they lose too much, or are no faster.
        LabelsError: a picture cannot be read.
    """
    if getattr(config, role).weights == RANDOM:
        raise CalibrationError(f"{getattr(config, role).model} has random weights, which are not worth calibrating")
    engines = engines or EngineCache()
    config = _up_to(config, role)
    with _apart(engines) as trial:
        tap = _Tap(role)
        usual = assemble(_with(config, role, "auto"), Metrics(), wrap=tap, engines=trial)
        for image in show(pictures, "learning what the network sees"):
            usual.perception([_read(image)], [True])
        model = usual.models.get(role, "")
        if not tap.samples:
            raise CalibrationError(f"{model} cannot be calibrated: no network of it saw anything in these pictures")

        def quantising(name: str) -> Iterable[Backend] | None:
            return [CalibratingBackend(tap.samples[name])] if name in tap.samples else None

        fast = _Tap(role)
        exact, int8 = (
            assemble(
                _with(_strict(config), role, precision), Metrics(), wrap=wrap, engines=trial, candidates=candidates
            )
            for precision, wrap, candidates in (("float32", None, None), ("int8", fast, quantising))
        )
        finding = Finding(
            ap=_compared(exact, int8, _strict(config), check, show),
            images=len(check.images),
            against="/".join(dict.fromkeys(usual.choices[name].precision for name in tap.runs)),
            speed=_speed(tap, fast),
        )
        if finding.loss > LARGEST_LOSS:
            raise CalibrationError(
                f"{model} is not kept in int8, which costs more than {LARGEST_LOSS} of AP: {finding.accuracy}"
            )
        if finding.speed <= 1:
            raise CalibrationError(
                f"{model} is not kept in int8, which is {finding.speed:.2f} times as fast as {finding.against} here"
            )
        trial.move(engines, {"calibrated": f"int8, calibrated here: {finding}", "loss": finding.loss})
    return finding


class _Tap:
    """A `models.build.Wrap` that remembers the networks of a role, and a fair choice of what they are given.

    Attributes:
        runs: name -> network. samples: name -> inputs of one row, at most `SAMPLES`.
    """

    def __init__(self, role: Role) -> None:
        self.runs: dict[str, TensorRunner] = {}
        self.samples: dict[str, list[Sample]] = {}
        self._role = role
        self._seen: dict[str, int] = {}
        self._random = random.Random(0)

    def __call__(self, name: str, runner: TensorRunner, _: tuple[Input, ...]) -> TensorRunner:
        if name.partition("/")[0] != self._role:
            return runner
        self.runs[name] = runner

        def run(*inputs: Any) -> tuple[Float, ...]:
            for row in range(len(inputs[0])):
                self._meet(name, tuple(array[row : row + 1] for array in inputs))
            return runner(*inputs)

        return run

    def _meet(self, name: str, sample: Sample) -> None:
        """Reservoir sampling (Vitter, "Random sampling with a reservoir", 1985, algorithm R)."""
        samples = self.samples.setdefault(name, [])
        seen = self._seen[name] = self._seen.get(name, 0) + 1
        place = len(samples) if len(samples) < SAMPLES else self._random.randrange(seen)
        if place < SAMPLES:
            samples[place : place + 1] = [tuple(array.copy() for array in sample)]


class _Trial(EngineCache):
    """Keeps networks in int8 in a folder of its own until they have proved themselves; all others are where they are.

    Args:
        folder: its own. others: for all else.
    """

    def __init__(self, folder: Path, others: EngineCache) -> None:
        super().__init__(folder)
        self._others = others

    def get(self, name: str, key: EngineKey) -> Engine | None:
        return super().get(name, key) if key.values["precision"] == "int8" else self._others.get(name, key)

    def get_or_build(self, name: str, key: EngineKey, build: Build) -> Engine:
        if key.values["precision"] == "int8":
            return super().get_or_build(name, key, build)
        return self._others.get_or_build(name, key, build)

    def move(self, engines: EngineCache, facts: Mapping[str, Any]) -> None:
        """Keep in `engines` what is here, with these facts about it, in the place of older ones.

        Raises:
            CalibrationError: nothing can be written there.
        """
        for folder, record in self.records():
            assert isinstance(record, Record)
            key = EngineKey(record.key)
            if (old := engines.get(record.name, key)) is not None:
                shutil.rmtree(old.folder)
            engines.get_or_build(record.name, key, _copying(folder, record, facts))
            if engines.get(record.name, key) is None:
                raise CalibrationError(f"{record.name} cannot be kept in {engines.folder}; give write access there")


def _copying(folder: Path, record: Record, facts: Mapping[str, Any]) -> Build:
    def build(place: Path) -> Mapping[str, Any]:
        for name in record.files:
            shutil.copyfile(folder / name, place / name)
        return {**record.facts, **facts}

    return build


@contextmanager
def _apart(engines: EngineCache) -> Iterator[_Trial]:
    with tempfile.TemporaryDirectory(prefix="peoplestream-int8-", ignore_cleanup_errors=True) as folder:
        yield _Trial(Path(folder), engines)


def _up_to(config: Config, role: Role) -> Config:
    """Without the networks that come after `role`, all in float32 and on the processor."""
    off = {"detector": ("pose", "masks"), "pose": ("masks",), "masks": ()}[role]
    parts: dict[str, Any] = {}
    for name in ("detector", "pose", "masks"):
        section = getattr(config, name)
        changes = {"precision": "float32", "backend": "openvino"} | ({"model": None} if name in off else {})
        parts[name] = section.model_copy(update=changes)
    return config.model_copy(update=parts)


def _with(config: Config, role: Role, precision: str) -> Config:
    section = getattr(config, role).model_copy(update={"precision": precision})
    return config.model_copy(update={role: section})


def _strict(config: Config) -> Config:
    """Such that everybody counts."""
    return config.model_copy(update={"detector": config.detector.model_copy(update={"score": LOWEST_SCORE})})


def _compared(
    exact: Assembly, int8: Assembly, config: Config, check: CocoPersons, show: Show
) -> dict[str, tuple[float, float]]:
    """AP of both by kind."""
    before = coco_scores(exact, config, check, lambda images: show(images, "measuring float32"))
    after = coco_scores(int8, config, check, lambda images: show(images, "measuring int8"))
    return {kind: (before[kind].AP, after[kind].AP) for kind in before}


def _speed(usual: _Tap, fast: _Tap) -> float:
    """How many times as fast the second networks are, on the same samples, in turns."""
    times = {name: [0.0, 0.0] for name in usual.runs}
    for name, samples in usual.samples.items():
        alike = [
            sample for sample in samples if all(a.shape == b.shape for a, b in zip(sample, samples[0], strict=True))
        ]
        rows = alike[: 1 if name.startswith("detector") else _PEOPLE]
        batch = [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]
        runs = usual.runs[name], fast.runs[name]
        taken = [[_seconds(run, batch) for run in runs] for _ in range(_ROUNDS)]
        times[name] = np.min(taken, axis=0).tolist()
    before, after = np.sum(list(times.values()), axis=0)
    return float(before / after)


def _seconds(run: TensorRunner, batch: Sequence[Any]) -> float:
    began = time.perf_counter()
    run(*batch)
    return time.perf_counter() - began


def _read(image: CocoImage) -> Any:
    pixels = cv2.imread(str(image.path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise LabelsError(f"{image.path}: this is not an image that can be read")
    return np.asarray(pixels, np.uint8)
