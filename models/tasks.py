"""The interfaces that every network serves: what goes in, what comes out.

A task object holds the pre- and post-processing of one network beside a `Runner`, the compiled network itself. It knows
nothing of how that was compiled, and a backend knows nothing of tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Float: TypeAlias = npt.NDArray[np.float32]
Bool: TypeAlias = npt.NDArray[np.bool_]
Image: TypeAlias = npt.NDArray[np.uint8]
"""uint8 [H, W, 3], BGR."""


class Runner(Protocol):
    """A compiled network: uint8 [B, H, W, 3] BGR pixels in, its float32 outputs out, all with B rows."""

    def __call__(self, pixels: Image, /) -> tuple[Float, ...]: ...


class TensorRunner(Protocol):
    """A compiled network of any inputs: arrays with B rows in, its float32 outputs out, all with B rows."""

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[Float, ...]: ...


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How a network wants its pixels: channel order, then `(value - mean) / std` on 0..255."""

    rgb: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = PixelFormat(rgb=True, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
"""Mean and deviation of ImageNet's pixels: what torchvision's networks want, and most that began from them."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A person's mask inside a window of the image: `bitmap` bool [h, w], its top-left pixel at `origin` (x, y)."""

    bitmap: Bool
    origin: tuple[int, int]
    score: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """The persons in one image, best first.

    Attributes:
        xyxy: float32 [N, 4] in image pixels. scores: float32 [N] in 0..1.
        keypoints: float32 [N, 17, 3] in COCO's order, of a network that finds them together with the boxes.
        masks: makes the N masks when it is called, of a network that finds them together with the boxes.
    """

    xyxy: Float
    scores: Float
    keypoints: Float | None = None
    masks: Callable[[], list[Window | None]] | None = None

    def only(self, rows: npt.NDArray[np.intp]) -> Boxes:
        """Some of them; of all the masks these are picked once somebody asks for them."""
        keypoints = None if self.keypoints is None else self.keypoints[rows]
        masks = None if self.masks is None else partial(_some, self.masks, rows.tolist())
        return Boxes(self.xyxy[rows], self.scores[rows], keypoints, masks)


def _some(masks: Callable[[], list[Window | None]], rows: Sequence[int]) -> list[Window | None]:
    made = masks()
    return [made[row] for row in rows]


class Detector(Protocol):
    """Finds persons in a batch of images of any sizes."""

    def __call__(self, images: Sequence[Image]) -> list[Boxes]: ...


class PoseEstimator(Protocol):
    """Keypoints of the persons in `boxes` (per image float32 [N, 4]): per image float32 [N, 17, 3], COCO order."""

    def __call__(self, images: Sequence[Image], boxes: Sequence[Float]) -> list[Float]: ...


class Segmenter(Protocol):
    """Masks of the persons in `boxes` with `keypoints` (per image float32 [N, 17, 3]): per image N windows or None."""

    def __call__(
        self, images: Sequence[Image], boxes: Sequence[Float], keypoints: Sequence[Float]
    ) -> list[list[Window | None]]: ...
