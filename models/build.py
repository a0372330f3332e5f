"""From a name in the zoo to a task that runs."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.backends import Backend, BackendName, Choice, Input, Precision, PrecisionName, Source, compile_network
from models.backends.base import Facts, Recipe
from models.backends.cache import EngineCache, code_fingerprint
from models.errors import WeightsError
from models.serving import (
    BuildDetector,
    BuildMasks,
    BuildPose,
    Compile,
    DetectorOptions,
    PoseOptions,
    Ready,
    Weights,
)
from models.tasks import Detector, PoseEstimator, Segmenter, TensorRunner
from models.weights import Progress, cache_dir, fetch
from models.zoo import Architecture, ModelEntry, Role, Zoo

log = logging.getLogger(__name__)

DETECTORS: Mapping[Architecture, str] = {
    "yolox": "models.detect.yolox_task:yolox_detector",
    "yolov3": "models.detect.yolov3_task:yolov3_detector",
    "rtmdet": "models.detect.rtmdet_task:rtmdet_detector",
    "rtmdet-ins": "models.joint.rtmdet_ins_task:rtmdet_ins_detector",
    "rtmo": "models.joint.rtmo_task:rtmo_detector",
    "personlab": "models.joint.personlab_task:personlab_detector",
}
POSES: Mapping[Architecture, str] = {
    "rtmpose": "models.pose.rtmpose_task:rtmpose_estimator",
    "simplebaseline": "models.pose.heatmap_task:simplebaseline_estimator",
    "hourglass": "models.pose.heatmap_task:hourglass_estimator",
    "fcn8-pose": "models.pose.fcn8_task:fcn8_pose_estimator",
}
MASKS: Mapping[Architecture, str] = {
    "blazepose": "models.segment.blazepose_task:blazepose_segmenter",
    "contour": "models.segment.contour:contour_segmenter",
    "eiseg": "models.segment.eiseg_task:eiseg_segmenter",
    "mobilesam": "models.segment.mobilesam_task:mobilesam_segmenter",
    "pose2seg": "models.segment.pose2seg_task:pose2seg_segmenter",
    "fcn8": "models.segment.fcn8_task:fcn8_segmenter",
}
"""Architecture -> "module:function" of its `BuildDetector`, `BuildPose` or `BuildMasks`: most of them import PyTorch,
which a run whose networks are kept can do without."""

PRETRAINED, RANDOM = "pretrained", "random"
"""Weights that are not the path of a file: those of the zoo, and none at all."""

Wrap = Callable[[str, TensorRunner, tuple[Input, ...]], TensorRunner]
"""Puts something, such as a stopwatch, around a compiled network.

It is told the role, or "role/part" where that has several networks, and the network's inputs."""

Candidates = Callable[[str], "Iterable[Backend] | None"]
"""The backends that a network may run on, told the same name; None for all there are."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How the networks of a run are to be executed; `threads` is the number of processor threads of one call."""

    backend: BackendName = "auto"
    precision: PrecisionName = "auto"
    threads: int = 1


class Builder:
    """Builds the tasks of a run from their names.

    Args:
        zoo: where names are looked up.
        cache: of the weights; None for the platform's own place.
        progress: told of downloads.
        wrap: see `Wrap`.
        engines: where compiled networks are kept.
        candidates: the backends that the network of this role, or "role/part", may run on; None: all there are.

    Attributes:
        choices: how each network that was built runs, and why: role, or "role/part" -> choice.

    Every method takes `weights`: "pretrained" for the zoo's, "random" for none, or the path of a file; and raises:
        UnknownModelError: the zoo has no such model of that role.
        WeightsError: its weights cannot be had, or are not what they should be.
        CheckpointError: the file does not hold this network.
        BackendUnavailableError: it cannot run on the backend that was asked for.
    """

    def __init__(
        self,
        zoo: Zoo,
        cache: Path | None = None,
        progress: Progress | None = None,
        wrap: Wrap | None = None,
        engines: EngineCache | None = None,
        candidates: Candidates | None = None,
    ) -> None:
        self.choices: dict[str, Choice] = {}
        self._zoo = zoo
        self._cache = cache
        self._progress = progress
        self._wrap = wrap or (lambda _name, runner, _inputs: runner)
        self._engines = engines or EngineCache(cache_dir(cache) / "engines")
        self._candidates = candidates or (lambda _name: None)

    def detector(
        self, name: str, execution: Execution, options: DetectorOptions, weights: str = PRETRAINED
    ) -> Detector:
        """The detector `name`."""
        entry = self._zoo.entry(name, "detector")
        build: BuildDetector = builder_of(DETECTORS[entry.architecture])
        found = self._weights(entry, weights)
        return build(found, self._compiler("detector", found, execution), options)

    def pose(
        self, name: str, execution: Execution, options: PoseOptions | None = None, weights: str = PRETRAINED
    ) -> PoseEstimator:
        """The pose network `name`."""
        entry = self._zoo.entry(name, "pose")
        build: BuildPose = builder_of(POSES[entry.architecture])
        found = self._weights(entry, weights)
        return build(found, self._compiler("pose", found, execution), options or PoseOptions())

    def masks(self, name: str, execution: Execution, weights: str = PRETRAINED) -> Segmenter:
        """The mask network `name`."""
        entry = self._zoo.entry(name, "masks")
        build: BuildMasks = builder_of(MASKS[entry.architecture])
        found = self._weights(entry, weights)
        return build(found, self._compiler("masks", found, execution))

    def _weights(self, entry: ModelEntry, wanted: str) -> Weights:
        if not entry.needs_weights:
            return Weights(entry, None)
        if wanted == RANDOM:
            log.warning("%s runs with random weights: what it finds means nothing", entry.name)
            return Weights(entry, None)
        if wanted == PRETRAINED:
            return Weights(entry, fetch(entry, self._cache, self._progress))
        path = Path(wanted).expanduser()
        if not path.exists():
            raise WeightsError(
                f"there is no file {path} with weights for {entry.name}; "
                f"give the path of one, or {PRETRAINED!r} for the zoo's own"
            )
        return Weights(entry, path)

    def _compiler(self, role: Role, weights: Weights, execution: Execution) -> Compile:
        def compile_part(
            make: Callable[[], Source],
            *,
            size: tuple[int, ...] = (),
            lowest: Precision = "float32",
            part: str = "",
        ) -> Ready:
            title = f"{weights.entry.name}-{part}" if part else weights.entry.name
            name = f"{role}/{part}" if part else role
            recipe = Recipe(title, {**_identity(weights), "part": part, "size": list(size)}, make, lowest)
            served = compile_network(
                recipe,
                threads=execution.threads,
                backend=execution.backend,
                precision=execution.precision,
                candidates=self._candidates(name),
                cache=None if weights.path is None else self._engines,  # random weights are not worth it
            )
            self.choices[name] = served.choice
            return Ready(self._wrap(name, served.run, served.inputs), served.inputs)

        return compile_part


def builder_of(name: str) -> Any:
    """The function that "module:function" names, one of the values of `DETECTORS`, `POSES` and `MASKS`."""
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def _identity(weights: Weights) -> Facts:
    """What decides about a network: its weights, what is built of them, and the code that does it."""
    return {
        "architecture": weights.entry.architecture,
        "arguments": dict(weights.entry.arguments),
        "weights": RANDOM if weights.path is None else _sha256(weights.path),
        "format": weights.format or "",
        "code": code_fingerprint(),
        "torch": version("torch"),
    }


def _sha256(path: Path) -> str:
    """Of a file, or of all files in a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
