"""From a name in the zoo to a task that runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.backends import BackendName, Choice, CompileSpec, FromPixels, Precision, PrecisionName, compile_network
from models.detect import YOLOX, YOLOXDetector
from models.formats import onnx, pth
from models.pose import RTMPose, RTMPoseEstimator
from models.segment import BlazePose, BlazePoseSegmenter, load_tflite
from models.tasks import Runner
from models.weights import Progress, fetch
from models.zoo import ModelEntry, Role, Zoo

LOWEST_PRECISION: dict[Role, Precision] = {"detector": "bfloat16", "pose": "float32", "masks": "float32"}
"""The lowest precision that keeps the accuracy of a role; docs/models.md has the figures.

In bfloat16 the detector loses .001 AP, but the pose .027, and the masks agree with their float32 form at an IoU of only
.92."""

PERSON = 0
"""The class that the detectors keep: the first of COCO's 80."""

COCO_KEYPOINTS = 17
"""The keypoints that the pose networks keep: the first 17 of every set here are COCO's."""

Wrap = Callable[[Role, Runner], Runner]
"""Puts something, such as a stopwatch, around the compiled network of a role."""


@dataclass(frozen=True, slots=True)
class Execution:
    """How the networks of a run are to be executed; `threads` is the number of processor threads of one call."""

    backend: BackendName = "auto"
    precision: PrecisionName = "auto"
    threads: int = 1


def load_network(entry: ModelEntry, path: Path) -> YOLOX | RTMPose | BlazePose:
    """The network of `entry` with the weights at `path`, fused, and reduced to persons and COCO's keypoints.

    Raises:
        CheckpointError: the file does not hold this network.
    """
    if entry.architecture == "yolox":
        detector = YOLOX.from_onnx(onnx.read(path)) if entry.format == "onnx" else YOLOX.from_checkpoint(pth.read(path))
        return detector.keep_classes([PERSON]).fuse()
    if entry.architecture == "rtmpose":
        pose = RTMPose.from_onnx(onnx.read(path)) if entry.format == "onnx" else RTMPose.from_checkpoint(pth.read(path))
        return pose.keep_keypoints(COCO_KEYPOINTS).fuse()
    masks = BlazePose(str(entry.arguments.get("variant", "full")))
    load_tflite(masks, path)
    return masks.eval()


class Builder:
    """Builds the tasks of a run from their names.

    Args:
        zoo: where names are looked up.
        cache: of the weights; None for the platform's own place.
        progress: told of downloads.
        wrap: see `Wrap`.

    Every method raises:
        UnknownModelError: the zoo has no such model of that role.
        WeightsError: its weights cannot be had, or are not what they should be.
        BackendUnavailableError: it cannot run on the backend that was asked for.
    """

    def __init__(
        self, zoo: Zoo, cache: Path | None = None, progress: Progress | None = None, wrap: Wrap | None = None
    ) -> None:
        self._zoo = zoo
        self._cache = cache
        self._progress = progress
        self._wrap = wrap or (lambda _, runner: runner)

    def detector(
        self,
        name: str,
        execution: Execution,
        size: tuple[int, int],
        *,
        score: float = 0.1,
        nms_iou: float = 0.65,
        max_people: int = 100,
    ) -> tuple[YOLOXDetector, Choice]:
        """The detector `name` with an input of `size` (height, width); the rest as in `YOLOXDetector`."""
        runner, choice = self._runner(name, "detector", execution, size)
        return YOLOXDetector(runner, size, score, nms_iou, max_people), choice

    def pose(self, name: str, execution: Execution) -> tuple[RTMPoseEstimator, Choice]:
        """The pose network `name`."""
        size = RTMPoseEstimator.size
        runner, choice = self._runner(name, "pose", execution, size)
        return RTMPoseEstimator(runner), choice

    def masks(self, name: str, execution: Execution) -> tuple[BlazePoseSegmenter, Choice]:
        """The mask network `name`."""
        runner, choice = self._runner(name, "masks", execution, BlazePoseSegmenter.size)
        return BlazePoseSegmenter(runner), choice

    def _runner(self, name: str, role: Role, execution: Execution, size: tuple[int, int]) -> tuple[Runner, Choice]:
        entry = self._zoo.entry(name, role)
        network = load_network(entry, fetch(entry, self._cache, self._progress))
        spec = CompileSpec(4, *size, LOWEST_PRECISION[role], execution.threads)
        deployed = FromPixels(network, network.pixels)
        compiled, choice = compile_network(deployed, spec, backend=execution.backend, precision=execution.precision)
        return self._wrap(role, compiled), choice
