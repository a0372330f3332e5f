"""What turns a file of weights into a task: each architecture has one function that does it, all of the same form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from models.backends.base import Input, Precision, Source
from models.tasks import Detector, PoseEstimator, Segmenter, TensorRunner
from models.zoo import Format, ModelEntry

if TYPE_CHECKING:
    from torch import nn

PERSON = 0
"""The class that the detectors keep: the first of COCO's 80."""

COCO_KEYPOINTS = 17
"""The keypoints that the pose networks keep: the first 17 of every set here are COCO's."""

Network = TypeVar("Network", bound="nn.Module")

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


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A network that runs.

    Attributes:
        run: the network. inputs: what it is given at every call.
    """

    run: TensorRunner
    inputs: tuple[Input, ...]


class Compile(Protocol):
    """Makes a network run; a task that has several gives each a `part`.

    Args:
        make: makes the network; not called where its compiled form is kept from an earlier run.
        size: what decides, beside the weights, what `make` makes: height and width of the input where they are free.
        lowest: the lowest precision that keeps its accuracy.
        part: what it is called beside the role, such as "encoder".

    Raises:
        BackendUnavailableError: it cannot run on the backend that was asked for.
        What `make` raises.
    """

    def __call__(
        self,
        make: Callable[[], Source],
        *,
        size: tuple[int, ...] = (),
        lowest: Precision = "float32",
        part: str = "",
    ) -> Ready: ...


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
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval()
