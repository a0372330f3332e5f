"""ResNet-v2 (He et al., "Identity Mappings in Deep Residual Networks", 2016), as TF-slim has it.

What differs from other libraries' ResNets: the stride is on the 3x3 convolution of the *last* unit of a block, not of
the first; the network's first convolution, shortcuts and the last convolution of a unit have a bias and no batch-norm;
and a batch-norm and a linear 1x1 convolution end it. Strides beyond the output stride become dilations of all that
follows (Chen et al., "Rethinking Atrous Convolution", 2017).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

BatchNormMode = Literal["batch", "running"]

UNITS_152 = (3, 8, 36, 3)
"""Units per block of ResNet-152."""

_EPSILON = 1e-5
_ROOT_STRIDE = 4
"""Of the first convolution and the pooling together."""


class BatchNorm(nn.BatchNorm2d):
    """Batch-norm that can also use each image's own statistics when it is not being trained.

    Args:
        channels: of the map.
        mode: "running": the statistics of the training; "batch": those of the image itself, which is what a batch-norm
            that was left in training mode computes for a batch of one image.
    """

    def __init__(self, channels: int, mode: BatchNormMode) -> None:
        super().__init__(channels, eps=_EPSILON)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        if self.mode == "batch":
            return F.instance_norm(x, weight=self.weight, bias=self.bias, eps=self.eps)
        return super().forward(x)


class Unit(nn.Module):
    """One unit: batch-norm and ReLU, then 1x1, 3x3 and 1x1 convolutions beside a shortcut.

    Args:
        inputs: channels.
        width: channels of the convolutions inside; the unit gives four times as many.
        stride: of the 3x3 convolution. rate: its dilation.
        mode: see `BatchNorm`.
    """

    def __init__(self, inputs: int, width: int, stride: int, rate: int, mode: BatchNormMode) -> None:
        super().__init__()
        outputs = 4 * width
        self.stride = stride
        self.preact = BatchNorm(inputs, mode)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if inputs != outputs else None
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.norm1 = BatchNorm(width, mode)
        self.conv2 = nn.Conv2d(width, width, 3, stride, rate, rate, bias=False)
        self.norm2 = BatchNorm(width, mode)
        # Fifty units that all renormalise what they get would, with random weights, make much of the smallest rounding;
        # so each begins with a small share (after Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 5.1).
        nn.init.constant_(self.norm2.weight, 0.2)
        self.conv3 = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, 4 width, ceil(H / stride), ceil(W / stride)]."""
        active = F.relu(self.preact(x))
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(active)
        y = F.relu(self.norm1(self.conv1(active)))
        y = F.relu(self.norm2(self.conv2(y)))
        out: Tensor = shortcut + self.conv3(y)
        return out


class ResNetV2(nn.Module):
    """The trunk.

    Args:
        units: per block.
        outputs: channels of the linear 1x1 convolution at the end.
        output_stride: pixels of the image per cell of the output; 4, 8, 16 or 32.
        mode: see `BatchNorm`.
        width: channels inside the first block's units; 64 is the published network.
    """

    def __init__(
        self, units: Sequence[int], outputs: int, output_stride: int, mode: BatchNormMode, width: int = 64
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3)
        channels, stride, rate = width, _ROOT_STRIDE, 1
        for number, count in enumerate(units):
            row: OrderedDict[str, nn.Module] = OrderedDict()
            inside = width << number
            for unit in range(1, count + 1):
                step = 2 if unit == count and number < len(units) - 1 else 1
                taken = step if stride < output_stride else 1
                row[f"unit_{unit}"] = Unit(channels, inside, taken, rate, mode)
                channels, stride, rate = 4 * inside, stride * taken, rate * step // taken
            self.add_module(f"block{number + 1}", nn.Sequential(row))
        self.blocks = tuple(f"block{number + 1}" for number in range(len(units)))
        self.postnorm = BatchNorm(channels, mode)
        self.logits = nn.Conv2d(channels, outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, outputs, h, w] with h = (H - 1) / output stride + 1.

        H - 1 and W - 1 are multiples of the output stride: then the padding of every layer is the same on both sides,
        and the cells of all maps lie on pixels of the image.
        """
        x = F.max_pool2d(self.conv1(images), 3, 2, 1)
        for block in self.blocks:
            x = self.get_submodule(block)(x)
        out: Tensor = self.logits(F.relu(self.postnorm(x)))
        return out
