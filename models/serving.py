"""What turns a file of weights into a task: each architecture has one function that does it, all of the same form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

import torch
from torch import nn

from models.backends import Input, Precision
from models.tasks import Detector, PoseEstimator, Segmenter, TensorRunner
from models.zoo import Format, ModelEntry

PERSON = 0
"""The class that the detectors keep: the first of COCO's 80."""

COCO_KEYPOINTS = 17
"""The keypoints that the pose networks keep: the first 17 of every set here are COCO's."""

Network = TypeVar("Network", bound=nn.Module)

_SUFFIXES: dict[str, Format] = {
    ".onnx": "onnx",
    ".pth": "pth",
    ".pt": "pth",
    ".pkl": "pth",
    ".tar": "pth",
    ".tflite": "tflite",
    ".weights": "darknet",
    ".index": "tensorflow",
    ".pdiparams": "paddle",
}


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that a network is to have.

    Attributes:
        entry: of the zoo; says which network, and with what arguments.
        path: their file; None for a network of random weights, or one that has none.
    """

    entry: ModelEntry
    path: Path | None

    @property
    def format(self) -> Format | None:
        """Of the file: what its suffix says, for somebody's own need not be in the zoo's; else the zoo's."""
        suffix = self.path.suffix.lower() if self.path else ""
        return _SUFFIXES.get(suffix, self.entry.format)


class Compile(Protocol):
    """Makes a network run; a task that has several gives each a `part`.

    Args:
        network: maps tensors with B rows, in the order of `inputs`, to one tensor or a tuple of them, all with B rows.
        inputs: what it is given at every call.
        lowest: the lowest precision that keeps its accuracy.
        part: what it is called beside the role, such as "encoder".

    Raises:
        BackendUnavailableError: it cannot run on the backend that was asked for.
    """

    def __call__(
        self, network: nn.Module, *inputs: Input, lowest: Precision = "float32", part: str = ""
    ) -> TensorRunner: ...


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """What a configuration says of its detector.

    Attributes:
        size: height and width of the network's input, pixels.
        score: the lowest score that makes a person; above 0.
        nms_iou: of two boxes whose intersection over union is larger, the one with the lower score goes.
        max_people: of one image; the best are kept.
    """

    size: tuple[int, int]
    score: float = 0.1
    nms_iou: float = 0.65
    max_people: int = 100


@dataclass(frozen=True, slots=True)
class PoseOptions:
    """What a configuration says of its pose network.

    Attributes:
        flip_test: whether every person is looked at twice, once mirrored, and the two averaged; costs twice the time.
    """

    flip_test: bool = False


BuildDetector: TypeAlias = Callable[[Weights, Compile, DetectorOptions], Detector]
BuildPose: TypeAlias = Callable[[Weights, Compile, PoseOptions], PoseEstimator]
BuildMasks: TypeAlias = Callable[[Weights, Compile], Segmenter]
"""What each architecture offers. All raise CheckpointError where the file does not hold the network."""


def random_network(make: Callable[[], Network]) -> Network:
    """What `make` makes, with random weights that are the same at every call; for trying without the real ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()
