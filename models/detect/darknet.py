"""The backbones of YOLOv3 (Redmon and Farhadi, "YOLOv3: An Incremental Improvement", 2018), with OpenMMLab's names."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from models.layers import ConvModule

_NORM = partial(nn.BatchNorm2d, eps=1e-5)
_ACTIVATION = partial(nn.LeakyReLU, 0.1, inplace=True)


class DarknetConv(ConvModule):
    """Convolution, batch-norm, leaky ReLU of slope .1; the padding divides the size by the stride and nothing else."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, _NORM, stride=stride, activation=_ACTIVATION)


class ResBlock(nn.Module):
    """A 1x1 convolution to half of the channels, a 3x3 back to all of them, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = DarknetConv(channels, channels // 2, 1)
        self.conv2 = DarknetConv(channels // 2, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        out: Tensor = x + self.conv2(self.conv1(x))
        return out


class Darknet53(nn.Module):
    """52 convolutions: a stem, then five stages that halve the size and go on with residual blocks (table 1)."""

    channels = (256, 512, 1024)
    strides = (8, 16, 32)
    _WIDTHS = (32, 64, 128, 256, 512, 1024)
    _DEPTHS = (1, 2, 8, 8, 4)

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = DarknetConv(3, self._WIDTHS[0], 3)
        for number, ((inputs, outputs), depth) in enumerate(zip(pairwise(self._WIDTHS), self._DEPTHS, strict=True), 1):
            blocks = {f"res{i}": ResBlock(outputs) for i in range(depth)}
            halve = DarknetConv(inputs, outputs, 3, stride=2)
            self.add_module(f"conv_res_block{number}", nn.Sequential(OrderedDict(conv=halve, **blocks)))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images, float [B, 3, H, W] -> maps of `channels` at `strides`."""
        x = self.conv1(images)
        maps = []
        for stage in list(self.children())[1:]:
            x = stage(x)
            maps.append(x)
        return tuple(maps[-len(self.strides) :])


class DarknetTiny(nn.Module):
    """Seven 3x3 convolutions with maxima over 2x2 pixels between them, as in `yolov3-tiny.cfg`."""

    channels = (256, 1024)
    strides = (16, 32)
    _WIDTHS = (3, 16, 32, 64, 128, 256, 512, 1024)

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(DarknetConv(inputs, outputs, 3) for inputs, outputs in pairwise(self._WIDTHS))
        self.halve = nn.MaxPool2d(2)
        # The last maximum moves by single pixels: what it looks at beyond the right and lower edge is the edge itself.
        self.smooth = nn.Sequential(nn.ReplicationPad2d((0, 1, 0, 1)), nn.MaxPool2d(2, stride=1))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images, float [B, 3, H, W] -> maps of `channels` at `strides`."""
        *convs, last = self.convs
        x = convs[0](images)
        for conv in convs[1:-1]:
            x = conv(self.halve(x))
        return x, last(self.smooth(convs[-1](self.halve(x))))
