"""Each backend and precision: whether it says what eager float32 says, and how fast, beside eager CUDA in one run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu.ceilings import seconds
from benchmarks.gpu.outcome import FailedError, Figures, Setting
from models.backends import BackendUnavailableError, Input, Source, backends, probe
from models.backends.device_runner import DeviceRunner
from models.backends.pictures import pictures
from models.build import DETECTORS, POSES, PRETRAINED, RANDOM, Builder, Execution, builder_of
from models.machine import cores
from models.serving import DetectorOptions, PoseOptions, Ready, Weights
from models.tasks import Boxes, Detector, Float, Image, PoseEstimator, TensorRunner
from models.weights import cached
from models.zoo import load_zoo
from stream.config import Config
from stream.runners import own_stream

ROWS = (1, 4, 8, 16, 32)
PIXEL = 1.0
"""How far a corner of a box or a keypoint may be from where eager float32 sees it, pixels, at p99."""

SURE = 0.3
"""Score of the keypoints that count."""


def missing(backend: str, precision: str) -> str | None:
    """Why this cannot be tried here."""
    for candidate in backends():
        if candidate.name == backend:
            try:
                native = candidate.precisions()
            except BackendUnavailableError as error:
                return str(error)
            return None if precision in native else f"this GPU does not compute {precision}"
    return f"there is no backend {backend} in this version"


def served(backend: str, precision: str) -> Callable[[Setting], Figures]:
    """The check of a backend in one precision."""

    def check(setting: Setting) -> Figures:
        networks = Networks(backend, precision)
        figures = networks.figures(setting.images)
        figures["speed"] = {role: networks.speed(role) for role in networks.runners}
        if figures.get("boxes_px_p99", 0.0) > PIXEL or figures.get("keypoints_px_p99", 0.0) > PIXEL:
            raise FailedError("further than a pixel at p99 from eager float32", figures)
        return figures

    return check


class Networks:
    """The default detector and pose network on one backend, and in eager float32 on the processor."""

    def __init__(self, backend: str, precision: str) -> None:
        self.runners: dict[str, TensorRunner] = {}
        self.inputs: dict[str, tuple[Input, ...]] = {}
        self.weights = _weights()
        builder = Builder(load_zoo(), wrap=self._keep)
        self.detector, self.pose = _tasks(builder, backend, precision, self.weights)
        self._choices = builder.choices

    def figures(self, folder: Path | None) -> Figures:
        """The relative errors of the gate, and the distances of what the tasks find."""
        figures: Figures = {
            "weights": self.weights,
            "chosen": {role: f"{choice.backend}, {choice.precision}" for role, choice in self._choices.items()},
            "relative_error": {role: choice.error for role, choice in self._choices.items()},
        }
        if self.weights == PRETRAINED:
            reference = _tasks(Builder(load_zoo()), "torch", "float32", self.weights)
            figures |= distances((self.detector, self.pose), reference, _images(folder))
        return figures

    def speed(self, role: str) -> Figures:
        """Milliseconds by rows, as it serves and in eager PyTorch on the same device and in the same run."""
        runner, inputs = self.runners[role], self.inputs[role]
        if not isinstance(runner, DeviceRunner):
            return {}
        eager = eager_on(source(role, self.weights), runner.torch_device)
        with own_stream():  # as it serves: on the default stream TensorRT waits for itself
            return {str(rows): speed(runner, inputs, rows, eager) for rows in ROWS}

    def _keep(self, name: str, runner: TensorRunner, inputs: tuple[Input, ...]) -> TensorRunner:
        self.runners[name], self.inputs[name] = runner, inputs
        return runner


def speed(
    runner: DeviceRunner,
    inputs: tuple[Input, ...],
    rows: int,
    eager: dict[str, Callable[..., Any]],
) -> Figures:
    """Milliseconds of one batch, and how many times as fast as each of `eager` that is."""
    device = runner.torch_device
    batch = tuple(torch.from_numpy(array).to(device) for array in probe(inputs, rows))
    own = seconds(lambda: runner.tensors(*batch), device)
    figures: Figures = {"ms": round(1e3 * own, 3), "rows_per_second": round(rows / own, 1)}
    for name, run in eager.items():
        figures[f"times_{name}"] = round(seconds(lambda run=run: run(*batch), device) / own, 2)  # type: ignore[misc]
    return figures


def eager_on(network: Source, device: torch.device) -> dict[str, Callable[..., Any]]:
    """The network as it is, in PyTorch on `device`, in float32 and, on a GPU, in float16 by autocast."""
    there = copy.deepcopy(network.network).eval().to(device)

    @torch.inference_mode()
    def float32(*inputs: torch.Tensor) -> Any:
        return there(*inputs)

    @torch.inference_mode()
    def float16(*inputs: torch.Tensor) -> Any:
        with torch.autocast(device.type, torch.float16):
            return there(*inputs)

    return {"eager_float32": float32, "eager_float16": float16} if device.type == "cuda" else {"eager_float32": float32}


def source(role: str, weights: str) -> Source:
    """The network of a role in the default configuration, as PyTorch has it."""
    config, zoo = Config(), load_zoo()
    caught: list[Source] = []

    def keep(make: Callable[[], Source], **_: Any) -> Ready:
        caught.append(make())
        raise _CaughtError

    name = config.detector.model if role == "detector" else config.pose.model
    entry = zoo.entry(name or "")
    given = Weights(entry, cached(entry) if weights == PRETRAINED else None)
    with suppress(_CaughtError):
        if role == "detector":
            builder_of(DETECTORS[entry.architecture])(given, keep, _detector_options(config))
        else:
            builder_of(POSES[entry.architecture])(given, keep, PoseOptions())
    return caught[0]


def distances(
    tasks: tuple[Detector, PoseEstimator], reference: tuple[Detector, PoseEstimator], images: list[Image]
) -> Figures:
    """How far boxes and keypoints are from those of `reference`, pixels, at p99, and whom only one of them finds.

    Keypoints are of the same boxes for both.
    """
    found, expected = tasks[0](images), reference[0](images)
    corners, lonely = _boxes_apart(found, expected)
    boxes = [of_image.xyxy for of_image in expected]
    apart = [
        np.linalg.norm(points[..., :2] - truth[..., :2], axis=2)[truth[..., 2] >= SURE]
        for points, truth in zip(tasks[1](images, boxes), reference[1](images, boxes), strict=True)
    ]
    return {
        "images": len(images),
        "people": sum(map(len, boxes)),
        "found_by_one_alone": lonely,
        "boxes_px_p99": _p99(corners),
        "keypoints_px_p99": _p99(apart),
    }


def _boxes_apart(found: Iterable[Boxes], expected: Iterable[Boxes]) -> tuple[list[Float], int]:
    apart, lonely = [], 0
    for own, truth in zip(found, expected, strict=True):
        distance = np.abs(own.xyxy[:, None] - truth.xyxy[None]).max(axis=2)
        height = (truth.xyxy[:, 3] - truth.xyxy[:, 1])[None]
        near = distance < 0.2 * height
        apart += [distance[:, column].min(keepdims=True) for column in np.flatnonzero(near.any(axis=0))]
        lonely += int((~near.any(axis=0)).sum() + (~near.any(axis=1)).sum())
    return apart, lonely


def _p99(parts: list[npt.NDArray[Any]]) -> float:
    values = np.concatenate([part.ravel() for part in parts]) if parts else np.zeros(0)
    return round(float(np.percentile(values, 99)), 4) if len(values) else 0.0


class _CaughtError(Exception):
    """The network has been made; nothing is to be done with it."""


def _tasks(builder: Builder, backend: str, precision: str, weights: str) -> tuple[Any, Any]:
    return tuple(_task(builder, role, backend, precision, weights) for role in ("detector", "pose"))


def _task(builder: Builder, role: str, backend: str, precision: str, weights: str) -> Any:
    config = Config()
    execution = Execution(backend, precision, cores())  # type: ignore[arg-type]
    if role == "pose":
        assert config.pose.model is not None
        return builder.pose(config.pose.model, execution, weights=weights)
    return builder.detector(config.detector.model, execution, _detector_options(config), weights)


def _detector_options(config: Config) -> DetectorOptions:
    section = config.detector
    return DetectorOptions((section.height, section.width), section.score, section.nms_iou, section.max_people)


def _weights() -> str:
    """The zoo's where the cache has those of both networks; else random ones, for the speed alone."""
    config, zoo = Config(), load_zoo()
    names = (config.detector.model, config.pose.model)
    return PRETRAINED if all(name and cached(zoo.entry(name)) for name in names) else RANDOM


def _images(folder: Path | None) -> list[Image]:
    if folder is None:
        return list(pictures(8, 480, 640))
    read = (cv2.imread(str(path)) for path in sorted(folder.iterdir())[:32])
    return [image for image in read if image is not None]  # type: ignore[misc]
