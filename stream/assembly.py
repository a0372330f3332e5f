"""The networks that a configuration names, built, compiled and put together as perception."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.backends import Choice
from models.build import Builder, Execution, Wrap
from models.machine import cores
from models.tasks import Float, Runner
from models.weights import Progress
from models.zoo import Role, load_zoo
from stream.config import Config, DetectorConfig, MasksConfig, PoseConfig
from stream.metrics import Metrics
from stream.perception import EncodeMask, Perception
from stream.types import Mask, Polygon


@dataclass(frozen=True, slots=True)
class Assembly:
    """Ready to perceive.

    Attributes:
        workers: one perception for every thread that perceives.
        models: role ("detector", "pose", "masks") -> name in the zoo. choices: role -> how it runs, and why.
        threads: processor threads that the networks use together.
    """

    workers: tuple[Perception, ...]
    models: dict[str, str]
    choices: dict[str, Choice]
    threads: int


def assemble(config: Config, metrics: Metrics, progress: Progress | None = None, wrap: Wrap | None = None) -> Assembly:
    """Build what `config` asks for; the time of each network goes to the series `model/<role>` of `metrics`.

    Args:
        config: names the models and how to run them.
        metrics: where times go.
        progress: told of downloads.
        wrap: put around each compiled network, inside its stopwatch.

    Raises:
        UnknownModelError, WeightsError, BackendUnavailableError: see `models.build.Builder`.
    """
    threads = config.threads or cores()

    def timed(role: Role, runner: Runner) -> Runner:
        inner = wrap(role, runner) if wrap else runner

        def run(pixels: npt.NDArray[np.uint8]) -> tuple[Float, ...]:
            with metrics.timed(f"model/{role}"):
                return inner(pixels)

        return run

    def execution(section: DetectorConfig | PoseConfig | MasksConfig) -> Execution:
        return Execution(section.backend, section.precision, threads)

    builder = Builder(load_zoo(), progress=progress, wrap=timed)
    models: dict[str, str] = {"detector": config.detector.model}
    choices: dict[str, Choice] = {}
    detector, choices["detector"] = builder.detector(
        config.detector.model,
        execution(config.detector),
        (config.detector.height, config.detector.width),
        score=config.detector.score,
        nms_iou=config.detector.nms_iou,
        max_people=config.detector.max_people,
    )
    pose = segmenter = None
    if config.pose.model is not None:
        models["pose"] = config.pose.model
        pose, choices["pose"] = builder.pose(config.pose.model, execution(config.pose))
    if config.masks.model is not None:
        models["masks"] = config.masks.model
        segmenter, choices["masks"] = builder.masks(config.masks.model, execution(config.masks))
    encode: EncodeMask = Polygon.encode if config.masks.encoding == "polygon" else Mask.encode
    return Assembly((Perception(detector, pose, segmenter, metrics, encode),), models, choices, threads)
