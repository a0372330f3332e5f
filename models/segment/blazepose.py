"""The BlazePose landmark network as a mask head: the crop of one person in, the logits of the mask out.

The published network (Bazarevsky et al., "BlazePose: On-device Real-time Body Pose Tracking", 2020; weights of the
model card "MediaPipe BlazePose GHUM 3D", 2021) shares one encoder between a mask decoder and its landmark heads. What
the mask needs is built here: the encoder, a chain of inverted residuals with ReLU6, and the decoder, which adds a
lateral branch of the encoder at every scale. The heads of the landmarks, the heat maps and the pose flag, half of the
weights of the full network, do not feed the mask and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.errors import CheckpointError
from models.formats.tflite import TfliteGraph, TfliteOperator, read
from models.tasks import Float, PixelFormat

SIZE = 256
"""Height and width of the network's input and of its output, pixels."""


class Stage(NamedTuple):
    """`depth` inverted residuals; the first one changes the stride and the channels."""

    expand: int
    kernel: int
    channels: int
    depth: int
    stride: int


Level = tuple[Stage, ...]
"""The stages between two lateral branches. The first level works at half of the input's resolution, each other one at
half of the resolution before."""

# Each stage: expand, kernel, channels, depth, stride.
FULL: tuple[Level, ...] = (
    (Stage(1, 3, 16, 1, 1),),
    (Stage(4, 3, 24, 1, 2), Stage(6, 3, 24, 1, 1)),
    (Stage(6, 5, 32, 2, 2),),
    (Stage(6, 3, 64, 3, 2), Stage(6, 5, 88, 3, 1)),
    (Stage(6, 5, 144, 4, 2),),
)
HEAVY: tuple[Level, ...] = (
    (Stage(1, 3, 24, 1, 1),),
    (Stage(4, 3, 32, 2, 2), Stage(6, 3, 32, 2, 1)),
    (Stage(6, 5, 56, 4, 2),),
    (Stage(6, 3, 112, 6, 2), Stage(6, 5, 160, 6, 1)),
    (Stage(6, 5, 272, 8, 2),),
)
VARIANTS: dict[str, tuple[Level, ...]] = {"full": FULL, "heavy": HEAVY}
_STEM, _PYRAMID, _MASK = 24, 48, 8
"""Channels of the stem, of the lateral branches down to a stride of 4, and of the mask's last layers."""

_KERNEL_AXES = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
"""Axes of TFLite's kernels, [out, h, w, in] and [1, h, w, channels], in PyTorch's order."""


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups), nn.ReLU6())


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, inputs, 3, groups=inputs), _conv(inputs, outputs, 1))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class InvertedResidual(nn.Module):
    """Expand, filter every channel by itself, project (Sandler et al., 2018, section 3.3).

    The input is added where the shape stays the same; the network's first block expands nothing and adds nothing.
    """

    def __init__(self, inputs: int, outputs: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.residual = expand > 1 and stride == 1 and inputs == outputs
        self.layers = nn.Sequential(
            *([_conv(inputs, hidden, 1)] if expand > 1 else []),
            _conv(hidden, hidden, kernel, stride, groups=hidden),
            nn.Conv2d(hidden, outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class Refine(nn.Module):
    """A depthwise separable convolution with a residual connection, then ReLU6."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = _conv(channels, channels, 3, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(x + self.pointwise(self.depthwise(x)))


def _level(inputs: int, stages: Level) -> nn.Sequential:
    blocks = nn.Sequential()
    for expand, kernel, channels, depth, stride in stages:
        for i in range(depth):
            blocks.append(InvertedResidual(inputs, channels, expand, kernel, stride if i == 0 else 1))
            inputs = channels
    return blocks


class BlazePose(nn.Module):
    """The mask branch of the BlazePose landmark network.

    Args:
        variant: "full" (1.6 M parameters of the mask) or "heavy" (10.5 M).

    The modules are registered in the order in which the mask is computed when every lateral branch is evaluated as late
    as possible; `load_tflite` relies on it.
    """

    pixels: ClassVar = PixelFormat(rgb=True, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))

    def __init__(self, variant: str = "full") -> None:
        super().__init__()
        self.variant = variant
        levels = VARIANTS[variant]
        widths = [_STEM, *(level[-1].channels for level in levels)]
        self.stem = _conv(3, _STEM, 3, stride=2)
        self.levels = nn.ModuleList(_level(width, level) for width, level in zip(widths, levels, strict=False))
        deepest = 6 * widths[-1]
        self.bottom = nn.Sequential(_conv(widths[-1], deepest, 1), _conv(deepest, deepest, 3, groups=deepest))
        self.laterals = nn.ModuleList(_separable(width, _PYRAMID) for width in (deepest, *widths[-2:1:-1]))
        self.reduce = _separable(_PYRAMID, _MASK)
        self.detail = _separable(widths[1], _MASK)
        self.refine_half = nn.Sequential(Refine(_MASK), Refine(_MASK))
        self.refine = nn.Sequential(Refine(_MASK), Refine(_MASK))
        self.logits = nn.Conv2d(_MASK, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the mask, float [B, 1, 256, 256], of `images`, float [B, 3, 256, 256], RGB in 0..1."""
        x = self.stem(images)
        features = []
        for level in self.levels:
            x = level(x)
            features.append(x)
        finest, *middle, _ = features
        coarsest, *finer = self.laterals
        x = coarsest(self.bottom(x))
        for lateral, feature in zip(finer, reversed(middle), strict=True):
            x = _double(x) + lateral(feature)
        x = self.refine_half(_double(self.reduce(x)) + self.detail(finest))
        logits: Tensor = self.logits(self.refine(_double(x)))
        return logits


def load_tflite(network: BlazePose, path: Path) -> None:
    """Fill `network` with the weights of one of MediaPipe's landmark networks, a `.tflite` file.

    The convolutions that lead to the file's mask are taken depth first, first input first, which is the order of the
    network's own layers, and every shape is compared: neither the order of the file nor its names matter.

    Raises:
        CheckpointError: the file is not a whole TensorFlow Lite model, or holds another network.
        OSError: the file cannot be opened.
    """
    tensors = list(_mask_tensors(read(path)))
    parameters = list(network.parameters())
    if [tensor.shape for tensor in tensors] != [tuple(parameter.shape) for parameter in parameters]:
        raise CheckpointError(
            f"{path} does not hold the {network.variant} BlazePose network: {len(tensors) // 2} convolutions lead to "
            f"its mask, not {len(parameters) // 2}, or they have other shapes; give the file of this variant"
        )
    with torch.no_grad():
        for parameter, tensor in zip(parameters, tensors, strict=True):
            parameter.copy_(torch.from_numpy(tensor))


def _mask_tensors(graph: TfliteGraph) -> Iterator[Float]:
    """Kernel [out, in / groups, h, w] and bias of each convolution that leads to the mask, in depth-first order."""
    producers = {output: operator for operator in graph.operators for output in operator.outputs}

    def leading_to(tensor: int) -> Iterator[TfliteOperator]:
        # Taken out at the first visit, so that an operator comes once and a damaged graph cannot send us in circles.
        operator = producers.pop(tensor, None)
        if operator is not None:
            for source in operator.inputs:
                yield from leading_to(source)
            yield operator

    masks = [output for output in graph.outputs if graph.tensors[output].shape == (1, SIZE, SIZE, 1)]
    for operator in (operator for mask in masks for operator in leading_to(mask)):
        if operator.op in _KERNEL_AXES:
            for constant in (graph.tensors[i].data for i in operator.inputs if i >= 0):
                # What is not float32 is quantised, and would fill the network with whole numbers.
                if constant is not None and constant.dtype == np.float32:
                    axes = _KERNEL_AXES[operator.op] if constant.ndim == 4 else (0,)
                    yield np.ascontiguousarray(constant.transpose(axes))
