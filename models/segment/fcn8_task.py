"""The segmenter around FCN-8: one look at each image for the class "person", cut to everybody's box.

It knows of no individuals: where the boxes of two people overlap, each of the two masks shows both of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from models.backends.base import Input, Source
from models.backends.pixels import FromPixels
from models.detect.letterbox import letterbox
from models.errors import CheckpointError
from models.formats import pth
from models.segment import roi
from models.segment.fcn8 import FCN8, Layout
from models.serving import Compile, Weights, random_network
from models.tasks import Float, Image, Runner, Window

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FCN8Segmenter:
    """Serves `models.tasks.Segmenter` with an FCN-8; the keypoints are not looked at.

    Attributes:
        run: the compiled network; its only output is as `PersonLogit.forward` describes it.
        size: height and width of its input, pixels.
    """

    run: Runner
    size: tuple[int, int]

    def __call__(
        self,
        images: Sequence[Image],
        boxes: Sequence[Float],
        keypoints: Sequence[Float],  # noqa: ARG002
    ) -> list[list[Window | None]]:
        """Masks of everybody in `images`, uint8 [H, W, 3] BGR of any sizes; all images go through the network together.

        Args:
            images: B images; one without people is not looked at.
            boxes: of each image float32 [N, 4], x1, y1, x2, y2 in its pixels.
            keypoints: not used.

        Returns:
            Of each image N windows; None for a person of whose box no pixel lies in the image.
        """
        found: list[list[Window | None]] = [[None] * len(of_image) for of_image in boxes]
        used = [number for number, of_image in enumerate(boxes) if len(of_image)]
        if not used:
            return found
        pixels, scales = letterbox([images[number] for number in used], self.size)
        (logits,) = self.run(pixels)
        for number, of_image, scale in zip(used, logits[:, 0], scales, strict=True):
            height, width = images[number].shape[:2]
            for row, window in enumerate(roi.windows(boxes[number], width, height).tolist()):
                left, top, right, bottom = window
                if right > left and bottom > top:
                    found[number][row] = _cut(of_image, float(scale), (left, top, right, bottom))
        return found


def _cut(logits: Float, scale: float, window: roi.Rectangle) -> Window:
    """What lies in `window` of the image of `logits`, float32 [h, w], which are at `scale` of the image's size."""
    left, top, right, bottom = window
    # Between two pixel grids that cover the same area, the middles of the pixels correspond.
    to_logits = np.array([[scale, 0, (left + 0.5) * scale - 0.5], [0, scale, (top + 0.5) * scale - 0.5]])
    seen = np.empty((bottom - top, right - left), np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(logits, to_logits, seen.shape[::-1], dst=seen, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return Window(seen > 0, (left, top), float(roi.mean_probability(seen[None])[0]))


class PersonLogit(nn.Module):
    """The logit of one class against all others of an FCN-8 together: above 0 where its softmax is above a half."""

    def __init__(self, network: FCN8, person: int) -> None:
        super().__init__()
        self.network = network
        self.person = person

    def forward(self, images: Tensor) -> Tensor:
        """[B, 1, H, W] of `images`, as `FCN8.forward` takes them."""
        logits = self.network(images)
        others = torch.cat([logits[:, : self.person], logits[:, self.person + 1 :]], 1)
        person: Tensor = logits[:, self.person : self.person + 1]
        return person - others.logsumexp(1, keepdim=True)


def fcn8_segmenter(weights: Weights, compile_network: Compile) -> FCN8Segmenter:
    """A segmenter with somebody's FCN-8.

    The entry's arguments: `layout`, `classes`, `person` (the number of that class), and `height` and `width` of the
    input, pixels.

    Raises:
        CheckpointError: the file does not hold an FCN-8 of so many classes.
    """
    arguments = weights.entry.arguments
    size = int(arguments["height"]), int(arguments["width"])

    def make() -> Source:
        network = load_fcn8(weights)
        person = PersonLogit(network, int(arguments["person"]))
        return Source(FromPixels(person, network.pixels), (Input.pixels(*size),))

    return FCN8Segmenter(compile_network(make).run, size)


def load_fcn8(weights: Weights) -> FCN8:
    """The network that a zoo entry with the arguments `layout` and `classes` describes.

    Of a file with torchvision's VGG16 the trunk is taken, and the log says that the rest is still to be trained.

    Raises:
        CheckpointError: the file does not hold it.
    """
    entry = weights.entry
    classes, layout = int(entry.arguments["classes"]), entry.arguments["layout"]
    wanted: Layout = "pad100" if layout == "pad100" else "same"
    if weights.path is None:
        return random_network(lambda: FCN8(classes, wanted))
    state = pth.read(weights.path)
    if "classifier.0.weight" in state:
        _log.warning("%s: %s ends with fc7 of VGG16; what is above it knows nothing", entry.name, weights.path)
        return random_network(lambda: FCN8.from_vgg16(state, classes))
    network = FCN8.from_checkpoint(state)
    if (network.classes, network.layout) != (classes, wanted):
        raise CheckpointError(
            f"{weights.path} holds an FCN-8 of {network.classes} classes in the layout {network.layout!r}, but "
            f"{entry.name} is one of {classes} in the layout {wanted!r}; give the file of this model"
        )
    return network
