"""The networks that a configuration names, built, compiled and put together as perception."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from models.backends import Choice, Input
from models.backends.cache import EngineCache
from models.build import Builder, Candidates, Execution, Wrap
from models.machine import cores
from models.serving import DetectorOptions, PoseOptions
from models.tasks import TensorRunner
from models.weights import Progress
from models.zoo import SEE_WHOLE_IMAGES, load_zoo
from stream.config import Config, DetectorConfig, MasksConfig, PoseConfig
from stream.metrics import OUT_OF_MEMORY, Metrics
from stream.perception import EncodeMask, Perception
from stream.runners import Stopwatch, around
from stream.shrinking import Shrinking
from stream.types import Mask, Polygon


@dataclass(frozen=True, slots=True)
class Assembly:
    """Ready to perceive.

    Attributes:
        perception: the networks together.
        models: role ("detector", "pose", "masks") -> name in the zoo.
        choices: role, or "role/part" where it has several networks -> how it runs, and why.
        threads: processor threads that the networks use together.
    """

    perception: Perception
    models: dict[str, str]
    choices: dict[str, Choice]
    threads: int


def assemble(
    config: Config,
    metrics: Metrics,
    progress: Progress | None = None,
    wrap: Wrap | None = None,
    engines: EngineCache | None = None,
    candidates: Candidates | None = None,
) -> Assembly:
    """Build what `config` asks for; the time of each network goes to the series `model/<role>[/<part>]` of `metrics`.

    Args:
        config: names the models and how to run them.
        metrics: where times go.
        progress: told of downloads.
        wrap: put around each compiled network, inside its stopwatch.
        engines: where compiled networks are kept; None: beside the weights.
        candidates: backends to choose from; None: all there are.

    Raises:
        ValueError: the masks need keypoints, and no model finds any.
        UnknownModelError, WeightsError, CheckpointError, BackendUnavailableError: see `models.build.Builder`.
    """
    threads = config.threads or cores()

    def timed(name: str, runner: TensorRunner, inputs: tuple[Input, ...]) -> TensorRunner:
        inner = wrap(name, runner, inputs) if wrap else runner
        return around(inner, Stopwatch(partial(metrics.observe, f"model/{name}")))

    def shrinking(role: str, task: Callable[..., list[Any]]) -> Any:  # which serves what the task serves
        return Shrinking(task, role, partial(metrics.count, OUT_OF_MEMORY + role))

    def execution(section: DetectorConfig | PoseConfig | MasksConfig) -> Execution:
        return Execution(section.backend, section.precision, threads)

    zoo = load_zoo()
    if zoo.lacks_keypoints(config.detector.model, config.pose.model, config.masks.model):
        raise ValueError(f"masks.model {config.masks.model} is placed by keypoints, and nothing here finds any")
    builder = Builder(zoo, progress=progress, wrap=timed, engines=engines, candidates=candidates)
    models: dict[str, str] = {"detector": config.detector.model}
    size = config.detector.height, config.detector.width
    detector = builder.detector(
        config.detector.model,
        execution(config.detector),
        DetectorOptions(size, config.detector.score, config.detector.nms_iou, config.detector.max_people),
        config.detector.weights,
    )
    pose = segmenter = None
    if config.pose.model is not None:
        models["pose"] = config.pose.model
        options = PoseOptions(config.pose.flip_test)
        pose = builder.pose(config.pose.model, execution(config.pose), options, config.pose.weights)
    if config.masks.model is not None:
        models["masks"] = config.masks.model
        segmenter = builder.masks(config.masks.model, execution(config.masks), config.masks.weights)
    together = config.masks.model is not None and (
        zoo.entry(config.masks.model, "masks").architecture in SEE_WHOLE_IMAGES
    )
    encode: EncodeMask = Polygon.encode if config.masks.encoding == "polygon" else Mask.encode
    perception = Perception(
        shrinking("detector", detector),
        shrinking("pose", pose) if pose else None,
        shrinking("masks", segmenter) if segmenter else None,
        metrics,
        encode,
        config.pose.oks_nms,
        together,
    )
    return Assembly(perception, models, builder.choices, threads)
