"""FCN-8 (Long et al., "Fully Convolutional Networks for Semantic Segmentation", 2015) on VGG16, in both known forms.

Names of the layers are those of Berkeley's network, which Caffe's users and PyTorch's ports of it share.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import CheckpointError
from models.loading import load_state
from models.tasks import IMAGENET, PixelFormat

Layout = Literal["same", "pad100"]
"""How the borders are treated.

"same": every layer keeps the size, as in the usual exercise with TensorFlow; the upsampling layers have a bias.
"pad100": Berkeley's; the picture gets a border of 100 pixels of 0 in the first layer, which the others use up, and what
is left over is cut off; the upsampling layers have no bias.
"""

DEPTHS = (2, 2, 3, 3, 3)
"""Convolutions of VGG16's five stages (Simonyan and Zisserman, 2015, configuration D)."""

CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096
"""Of the two layers that were fully connected in VGG16."""

_TRUNK = tuple(f"conv{stage}_{i}" for stage, depth in enumerate(DEPTHS, 1) for i in range(1, depth + 1))
_FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""The numbers that torchvision has for the layers of `_TRUNK`."""

_CROPS = {"score_pool4": 5, "score_pool3": 9, "out": 31}
"""Pixels that "pad100" cuts off at the left and the top, as Berkeley's network does."""

PIXELS: Mapping[Layout, PixelFormat] = {
    "same": IMAGENET,
    "pad100": PixelFormat(rgb=False, mean=(104.00699, 116.66877, 122.67892), std=(1.0, 1.0, 1.0)),
}
"""What each was trained on: "same" begins from torchvision's VGG16."""


class FCN8(nn.Module):
    """The whole network.

    Args:
        classes: how many it tells apart.
        layout: how the borders are treated.
        channels: of the five stages.
        hidden: channels of `fc6` and `fc7`.
    """

    def __init__(
        self,
        classes: int,
        layout: Layout = "same",
        channels: tuple[int, ...] = CHANNELS,
        hidden: int = HIDDEN,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.layout: Layout = layout
        same = layout == "same"
        for stage, (depth, (inputs, outputs)) in enumerate(zip(DEPTHS, pairwise((3, *channels)), strict=True), 1):
            for i in range(1, depth + 1):
                padding = 100 if (stage, i) == (1, 1) and not same else 1
                setattr(self, f"conv{stage}_{i}", nn.Conv2d(inputs if i == 1 else outputs, outputs, 3, padding=padding))
        self.fc6 = nn.Conv2d(channels[-1], hidden, 7, padding=3 if same else 0)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        self.score_fr = nn.Conv2d(hidden, classes, 1)
        self.score_pool4 = nn.Conv2d(channels[3], classes, 1)
        self.score_pool3 = nn.Conv2d(channels[2], classes, 1)
        self.upscore2 = _upsampling(classes, 2, same=same)
        self.upscore_pool4 = _upsampling(classes, 2, same=same)
        self.upscore8 = _upsampling(classes, 8, same=same)

    @property
    def pixels(self) -> PixelFormat:
        """What `forward` expects of its images."""
        return PIXELS[self.layout]

    def forward(self, images: Tensor) -> Tensor:
        """Logits of every pixel, float [B, classes, H, W], of `images`, float [B, 3, H, W] in the form `pixels`.

        With the layout "same" H and W are multiples of 32.
        """
        x, pools = images, []
        for stage, depth in enumerate(DEPTHS, 1):
            for i in range(1, depth + 1):
                x = F.relu(self.get_submodule(f"conv{stage}_{i}")(x))
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pools.append(x)
        x = self.score_fr(F.relu(self.fc7(F.relu(self.fc6(x)))))
        x = _added(self.upscore2(x), self.score_pool4(pools[3]), self._crop("score_pool4"))
        x = _added(self.upscore_pool4(x), self.score_pool3(pools[2]), self._crop("score_pool3"))
        return _cut(self.upscore8(x), images, self._crop("out"))

    def _crop(self, place: str) -> int:
        return 0 if self.layout == "same" else _CROPS[place]

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of a checkpoint: its number of classes, layout and widths are those of the tensors.

        Raises:
            CheckpointError: `state` is not that of an FCN-8 on VGG16.
        """
        try:
            classes, hidden = state["score_fr.weight"].shape[:2]
            channels = tuple(len(state[f"conv{stage}_1.weight"]) for stage in range(1, len(DEPTHS) + 1))
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"these weights are not of an FCN-8 on VGG16: they lack {error}") from None
        network = cls(classes, "same" if "upscore8.bias" in state else "pad100", channels, hidden)
        load_state(network, state)
        return network.eval()

    @classmethod
    def from_vgg16(cls, state: Mapping[str, Tensor], classes: int) -> Self:
        """A network to be trained: torchvision's VGG16 up to `fc7`, and above it layers that know nothing yet.

        Raises:
            CheckpointError: `state` is not that of a VGG16 without batch-norm.
        """
        named = from_torchvision(state)
        channels = tuple(len(named[f"conv{stage}_1.weight"]) for stage in range(1, len(DEPTHS) + 1))
        network = cls(classes, "same", channels, len(named["fc7.weight"]))
        scores = {name: value for name, value in network.state_dict().items() if "score" in name}
        load_state(network, named | scores)
        return network.eval()


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of torchvision's VGG16 under the names of `FCN8`: its fully connected layers are convolutions there.

    Raises:
        CheckpointError: they are not those of a VGG16 without batch-norm.
    """
    layers = [f"features.{i}" for i in _FEATURES] + ["classifier.0", "classifier.3"]
    named = {}
    for ours, theirs in zip((*_TRUNK, "fc6", "fc7"), layers, strict=True):
        for kind in ("weight", "bias"):
            tensor = state.get(f"{theirs}.{kind}")
            if tensor is None:
                raise CheckpointError(f"these weights are not of torchvision's VGG16: they lack {theirs}.{kind}")
            named[f"{ours}.{kind}"] = tensor
    try:
        named["fc6.weight"] = named["fc6.weight"].reshape(len(named["fc6.weight"]), -1, 7, 7)
    except RuntimeError:
        shape = list(named["fc6.weight"].shape)
        raise CheckpointError(f"these weights are not of torchvision's VGG16: classifier.0.weight is {shape}") from None
    named["fc7.weight"] = named["fc7.weight"][..., None, None]
    return named


def _upsampling(classes: int, factor: int, *, same: bool) -> nn.ConvTranspose2d:
    """A learned upsampling of every class that begins as the bilinear one (Long et al., section 3.3)."""
    size = 2 * factor
    layer = nn.ConvTranspose2d(classes, classes, size, factor, padding=factor // 2 if same else 0, bias=same)
    ramp = 1 - (torch.arange(size) - (size - 1) / 2).abs() / factor
    with torch.no_grad():
        layer.weight.copy_(torch.eye(classes)[:, :, None, None] * torch.outer(ramp, ramp))
        if layer.bias is not None:
            layer.bias.zero_()
    return layer


def _added(x: Tensor, lateral: Tensor, crop: int) -> Tensor:
    return x + _cut(lateral, x, crop)


def _cut(x: Tensor, like: Tensor, crop: int) -> Tensor:
    """`x` without its first `crop` rows and columns, in the size of `like`."""
    height, width = like.shape[-2:]
    return x[..., crop : crop + height, crop : crop + width]
