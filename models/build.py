"""From a name in the zoo to a task that runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from models import detect, joint, pose, segment
from models.backends import BackendName, Choice, CompileSpec, Input, Precision, PrecisionName, compile_network
from models.errors import WeightsError
from models.serving import BuildDetector, BuildMasks, BuildPose, Compile, DetectorOptions, PoseOptions, Weights
from models.tasks import Detector, PoseEstimator, Segmenter, TensorRunner
from models.weights import Progress, fetch
from models.zoo import Architecture, ModelEntry, Role, Zoo

log = logging.getLogger(__name__)

DETECTORS: Mapping[Architecture, BuildDetector] = {
    "yolox": detect.yolox_detector,
    "yolov3": detect.yolov3_detector,
    "rtmdet": detect.rtmdet_detector,
    "rtmdet-ins": joint.rtmdet_ins_detector,
    "rtmo": joint.rtmo_detector,
    "personlab": joint.personlab_detector,
}
POSES: Mapping[Architecture, BuildPose] = {
    "rtmpose": pose.rtmpose_estimator,
    "simplebaseline": pose.simplebaseline_estimator,
    "hourglass": pose.hourglass_estimator,
    "fcn8-pose": pose.fcn8_pose_estimator,
}
MASKS: Mapping[Architecture, BuildMasks] = {
    "blazepose": segment.blazepose_segmenter,
    "contour": segment.contour_segmenter,
    "eiseg": segment.eiseg_segmenter,
    "mobilesam": segment.mobilesam_segmenter,
    "pose2seg": segment.pose2seg_segmenter,
    "fcn8": segment.fcn8_segmenter,
}

PRETRAINED, RANDOM = "pretrained", "random"
"""Weights that are not the path of a file: those of the zoo, and none at all."""

Wrap = Callable[[str, TensorRunner, tuple[Input, ...]], TensorRunner]
"""Puts something, such as a stopwatch, around a compiled network.

It is told the role, or "role/part" where that has several networks, and the network's inputs."""


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

    Attributes:
        choices: how each network that was built runs, and why: role, or "role/part" -> choice.

    Every method takes `weights`: "pretrained" for the zoo's, "random" for none, or the path of a file; and raises:
        UnknownModelError: the zoo has no such model of that role.
        WeightsError: its weights cannot be had, or are not what they should be.
        CheckpointError: the file does not hold this network.
        BackendUnavailableError: it cannot run on the backend that was asked for.
    """

    def __init__(
        self, zoo: Zoo, cache: Path | None = None, progress: Progress | None = None, wrap: Wrap | None = None
    ) -> None:
        self.choices: dict[str, Choice] = {}
        self._zoo = zoo
        self._cache = cache
        self._progress = progress
        self._wrap = wrap or (lambda _name, runner, _inputs: runner)

    def detector(
        self, name: str, execution: Execution, options: DetectorOptions, weights: str = PRETRAINED
    ) -> Detector:
        """The detector `name`."""
        entry = self._zoo.entry(name, "detector")
        build = DETECTORS[entry.architecture]
        return build(self._weights(entry, weights), self._compiler("detector", execution), options)

    def pose(
        self, name: str, execution: Execution, options: PoseOptions | None = None, weights: str = PRETRAINED
    ) -> PoseEstimator:
        """The pose network `name`."""
        entry = self._zoo.entry(name, "pose")
        build = POSES[entry.architecture]
        return build(self._weights(entry, weights), self._compiler("pose", execution), options or PoseOptions())

    def masks(self, name: str, execution: Execution, weights: str = PRETRAINED) -> Segmenter:
        """The mask network `name`."""
        entry = self._zoo.entry(name, "masks")
        build = MASKS[entry.architecture]
        return build(self._weights(entry, weights), self._compiler("masks", execution))

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

    def _compiler(self, role: Role, execution: Execution) -> Compile:
        def compile_part(
            network: nn.Module, *inputs: Input, lowest: Precision = "float32", part: str = ""
        ) -> TensorRunner:
            spec = CompileSpec(inputs, lowest, execution.threads)
            compiled, choice = compile_network(network, spec, backend=execution.backend, precision=execution.precision)
            name = f"{role}/{part}" if part else role
            self.choices[name] = choice
            return self._wrap(name, compiled, inputs)

        return compile_part
