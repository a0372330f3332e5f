"""EISeg's network: an image and clicks in, the logits of a mask out.

HRNet-W18 with object-contextual representations (Yuan et al., "Segmentation Transformer", 2020), to which clicks are
shown as disks beside the image, as in RITM (Sofiiuk et al., "Reviving Iterative Training with Mask Guidance", 2021).
PaddleSeg trained it on COCO and LVIS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from models.errors import CheckpointError
from models.formats import paddle
from models.layers import ConvModule
from models.segment.hrnet import HRNet, conv, resize
from models.tasks import IMAGENET

_MIDDLE, _KEYS = 128, 64
"""Channels of the head, and of its attention."""


class ScaleLayer(nn.Module):
    """Multiplies by the absolute value of one learned number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 0.05))

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return x * self.scale.abs()


class ObjectAttention(nn.Module):
    """Every pixel gathers the representation of the object that it looks like (Yuan et al., section 3.2)."""

    def __init__(self) -> None:
        super().__init__()
        self.pixel = nn.Sequential(conv(_MIDDLE, _KEYS, 1), conv(_KEYS, _KEYS, 1))
        self.object = nn.Sequential(conv(_MIDDLE, _KEYS, 1), conv(_KEYS, _KEYS, 1))
        self.down = conv(_MIDDLE, _KEYS, 1)
        self.up = conv(_KEYS, _MIDDLE, 1)

    def forward(self, pixels: Tensor, objects: Tensor) -> Tensor:
        """[B, 128, H, W] and [B, 128, K, 1] of K objects -> [B, 128, H, W]."""
        query = self.pixel(pixels).flatten(2).transpose(1, 2)
        key, value = self.object(objects).flatten(2), self.down(objects).flatten(2).transpose(1, 2)
        weights = torch.softmax(query @ key * _KEYS**-0.5, dim=2)
        gathered = (weights @ value).transpose(1, 2).unflatten(2, tuple(pixels.shape[2:]))
        out: Tensor = self.up(gathered)
        return out


class OCRHead(nn.Module):
    """Rough logits first, then logits that see what the rough ones found."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.pixels = _with_bias(conv(inputs, _MIDDLE, 3))
        self.attention = ObjectAttention()
        self.context = conv(2 * _MIDDLE, _MIDDLE, 1)
        self.logits = nn.Conv2d(_MIDDLE, 1, 1)
        self.rough = nn.Sequential(_with_bias(conv(inputs, inputs, 1)), nn.Conv2d(inputs, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, 1, H, W]."""
        pixels = self.pixels(features)
        share = torch.softmax(self.rough(features).flatten(2), dim=2)
        objects = (share @ pixels.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
        out: Tensor = self.logits(self.context(torch.cat([self.attention(pixels, objects), pixels], dim=1)))
        return out


class EISeg(nn.Module):
    """The whole network."""

    pixels: ClassVar = IMAGENET

    def __init__(self) -> None:
        super().__init__()
        self.clicks = nn.Sequential(
            nn.Conv2d(3, 16, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 64, 3, stride=2, padding=1), ScaleLayer()
        )
        self.backbone = HRNet()
        self.head = OCRHead(self.backbone.channels)

    def forward(self, images: Tensor, clicks: Tensor) -> Tensor:
        """Logits of the mask, float [B, 1, H, W].

        Args:
            images: float [B, 3, H, W], RGB, normalised; H and W multiples of 32.
            clicks: float [B, 2, H, W], 1 in the disks around clicks and 0 elsewhere: first where the object is, then
                where it is not.
        """
        # The first channel is for a mask that is known before, which there never is.
        clicks = torch.cat([torch.zeros_like(clicks[:, :1]), clicks], dim=1)
        return resize(self.head(self.backbone(images, self.clicks(clicks))), images)


def load_pdiparams(network: EISeg, path: Path) -> None:
    """Fill `network`, not fused, with the parameters of PaddleSeg's inference model, a `.pdiparams` file.

    The file holds them in the sorted order of the names that PaddlePaddle gave them, by kind and number of the layer.

    Raises:
        CheckpointError: the file is not whole, or holds another network.
        OSError: the file cannot be opened.
    """
    tensors = paddle.read(path)
    named = dict(sorted(paddle_names(network)))
    if [tensor.shape for tensor in tensors] != [tuple(tensor.shape) for tensor in named.values()]:
        raise CheckpointError(
            f"{path} does not hold EISeg's HRNet18-OCR64: {len(tensors)} tensors where the network has {len(named)}, "
            f"or of other shapes"
        )
    with torch.no_grad():
        for own, tensor in zip(named.values(), tensors, strict=True):
            own.copy_(torch.from_numpy(tensor))


def paddle_names(network: EISeg) -> Iterator[tuple[str, Tensor]]:
    """PaddlePaddle's name of every tensor: it numbers the layers of a kind in the order in which they were built."""
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for number, layer in enumerate(convs):
        yield f"conv2d_{number}.w_0", layer.weight
        if layer.bias is not None:
            yield f"conv2d_{number}.b_0", layer.bias
    for number, norm in enumerate(norms):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        tensors = {"w_0": norm.weight, "b_0": norm.bias, "w_1": norm.running_mean, "w_2": norm.running_var}
        yield from ((f"batch_norm2d_{number}.{name}", tensor) for name, tensor in tensors.items())
    yield from (("scale_layer_0.w_0", module.scale) for module in network.modules() if isinstance(module, ScaleLayer))


def _with_bias(module: ConvModule) -> ConvModule:
    old = module.conv
    module.conv = nn.Conv2d(old.in_channels, old.out_channels, old.kernel_size, padding=old.padding)  # type: ignore[arg-type]
    return module
