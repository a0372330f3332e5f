"""YOLOv3, an anchor-based detector (Redmon and Farhadi, 2018), and its published layouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from models.detect.darknet import Darknet53, DarknetConv, DarknetTiny
from models.errors import CheckpointError
from models.formats import darknet
from models.layers import ConvModule, fuse
from models.loading import load_state
from models.tasks import Float, PixelFormat

Anchor = tuple[int, int]
"""Width and height of a typical box, pixels of the network's input."""

ANCHORS = 3
"""Anchors of a cell."""

ATTRIBUTES = 5
"""What an anchor predicts before the classes: x, y, width, height and objectness."""


@dataclass(frozen=True)
class Variant:
    """What tells one published YOLOv3 from the other; scales come coarsest first.

    Attributes:
        backbone: makes it.
        channels: of its maps.
        strides: pixels per cell of the output maps.
        anchors: of each stride, clustered from the boxes of COCO by the authors.
        widths: of each stride, channels of the block of convolutions before the prediction.
        depths: of each stride, convolutions in that block.
    """

    backbone: Callable[[], nn.Module]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    anchors: tuple[tuple[Anchor, Anchor, Anchor], ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]


VARIANTS: Mapping[str, Variant] = {
    "darknet53": Variant(
        backbone=Darknet53,
        channels=(1024, 512, 256),
        strides=(32, 16, 8),
        anchors=(
            ((116, 90), (156, 198), (373, 326)),
            ((30, 61), (62, 45), (59, 119)),
            ((10, 13), (16, 30), (33, 23)),
        ),
        widths=(512, 256, 128),
        depths=(5, 5, 5),
    ),
    "tiny": Variant(
        backbone=DarknetTiny,
        channels=(1024, 256),
        strides=(32, 16),
        # The published configuration has (10, 14), (23, 27), (37, 58) for the finer map, but the weights were trained
        # with the next three: on the 85 images of docs/models.md box AP is .084 with the former, .197 with the latter.
        anchors=(((81, 82), (135, 169), (344, 319)), ((23, 27), (37, 58), (81, 82))),
        widths=(256, 128),
        depths=(1, 0),
    ),
}
"""The published networks."""


class DetectionBlock(nn.Module):
    """Convolutions of 1x1 to `width` channels and 3x3 to twice as many in turn; none of them passes the input on."""

    def __init__(self, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.channels = inputs
        for number in range(1, depth + 1):
            outputs, kernel = (width, 1) if number % 2 else (2 * width, 3)
            self.add_module(f"conv{number}", DarknetConv(self.channels, outputs, kernel))
            self.channels = outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, channels, H, W]."""
        for conv in self.children():
            x = conv(x)
        return x


class YOLOV3Neck(nn.Module):
    """Maps of the backbone, each finer one together with what the coarser one made of itself."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.channels: list[int] = []
        for number, (inputs, width, depth) in enumerate(
            zip(variant.channels, variant.widths, variant.depths, strict=True)
        ):
            if number:
                self.add_module(f"conv{number}", DarknetConv(self.channels[-1], width, 1))
                inputs += width
            block = DetectionBlock(inputs, width, depth)
            self.add_module(f"detect{number + 1}", block)
            self.channels.append(block.channels)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps, coarsest first -> as many, of `channels`."""
        out: list[Tensor] = []
        for number, x in enumerate(maps):
            if out:
                coarser = self.upsample(self.get_submodule(f"conv{number}")(out[-1]))
                x = torch.cat([coarser, x], dim=1)
            out.append(self.get_submodule(f"detect{number + 1}")(x))
        return out


class YOLOV3Head(nn.Module):
    """Of each map a 3x3 convolution, and a 1x1 to the predictions of all anchors of a cell."""

    def __init__(self, variant: Variant, channels: Sequence[int], classes: int) -> None:
        super().__init__()
        self.attributes = ATTRIBUTES + classes
        self.convs_bridge = nn.ModuleList(
            DarknetConv(inputs, 2 * width, 3) for inputs, width in zip(channels, variant.widths, strict=True)
        )
        self.convs_pred = nn.ModuleList(nn.Conv2d(2 * width, ANCHORS * self.attributes, 1) for width in variant.widths)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, coarsest first -> [B, A, 5 + classes], see `YOLOV3.forward`."""
        levels = []
        for x, bridge, predict in zip(maps, self.convs_bridge, self.convs_pred, strict=True):
            cells = predict(bridge(x)).permute(0, 2, 3, 1)
            levels.append(cells.flatten(1).unflatten(1, (-1, self.attributes)))
        return torch.cat(levels, dim=1)


class YOLOV3(nn.Module):
    """The whole network.

    Args:
        variant: one of `VARIANTS`.
        classes: how many it tells apart; COCO's 80, of which the first is the person.
    """

    pixels: ClassVar = PixelFormat(rgb=True, mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))

    def __init__(self, variant: Variant, classes: int = 80) -> None:
        super().__init__()
        self.variant = variant
        self.backbone = variant.backbone()
        self.neck = YOLOV3Neck(variant)
        self.bbox_head = YOLOV3Head(variant, self.neck.channels, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Raw predictions of every anchor.

        Args:
            images: float [B, 3, H, W], RGB, 0..1; H and W multiples of 32.

        Returns:
            [B, A, 5 + classes], stride by stride with the coarsest first, row by row, the anchors of a cell in their
            order: logits of the centre's place within the cell (x, y); logarithm of the size as a multiple of the
            anchor's (w, h); logits of the objectness and of the classes.
        """
        out: Tensor = self.bbox_head(self.neck(self.backbone(images)[::-1]))
        return out

    def keep_classes(self, classes: Sequence[int]) -> Self:
        """Predict only these classes from now on, in this order; returns the network itself."""
        kept = [*range(ATTRIBUTES), *(ATTRIBUTES + number for number in classes)]
        for predict in self.bbox_head.convs_pred:
            assert isinstance(predict, nn.Conv2d)
            assert predict.bias is not None
            shape = (-1, self.bbox_head.attributes, predict.in_channels, 1, 1)
            predict.weight = nn.Parameter(predict.weight.detach().view(shape)[:, kept].flatten(0, 1))
            predict.bias = nn.Parameter(predict.bias.detach().view(shape[:2])[:, kept].flatten())
            predict.out_channels = len(predict.bias)
        self.bbox_head.attributes = len(kept)
        return self

    def fuse(self) -> Self:
        """Fold every batch-norm into its convolution; returns the network, in evaluation mode."""
        return fuse(self)

    @classmethod
    def from_checkpoint(cls, variant: Variant, state: Mapping[str, Tensor]) -> Self:
        """The network of a checkpoint with OpenMMLab's names, of any number of classes; not fused.

        Raises:
            CheckpointError: `state` is not that of this variant.
        """
        bias = state.get("bbox_head.convs_pred.0.bias")
        if bias is None:
            raise CheckpointError("these weights are not of a YOLOv3: they lack bbox_head.convs_pred.0.bias")
        classes = len(bias) // ANCHORS - ATTRIBUTES
        if classes < 1:
            raise CheckpointError(f"these weights are not of a YOLOv3: they predict {len(bias)} values of a cell")
        network = cls(variant, classes)
        load_state(network, state)
        return network.eval()

    @classmethod
    def from_darknet(cls, variant: Variant, values: Float) -> Self:
        """The network of the values in a darknet file, of any number of classes; not fused.

        The file does not say how many classes there are: the number of values does.

        Raises:
            CheckpointError: this variant has another number of values, with whatever number of classes.
        """
        with torch.device("meta"):
            one, two = (darknet.count(cls(variant, classes).in_darknet_order()) for classes in (1, 2))
        more, rest = divmod(len(values) - one, two - one)
        if more < 0 or rest:
            raise CheckpointError(
                f"these weights do not fit this YOLOv3: {len(values)} values, where one class takes {one} "
                f"and each other {two - one} more"
            )
        network = cls(variant, 1 + more)
        darknet.fill(network.in_darknet_order(), values)
        return network.eval()

    def in_darknet_order(self) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
        """The convolutions, each with its batch-norm, in the order of darknet's configuration file."""
        head = self.bbox_head
        yield from _with_norms(self.backbone)
        for number, (bridge, predict) in enumerate(zip(head.convs_bridge, head.convs_pred, strict=True)):
            if number:
                yield from _with_norms(self.neck.get_submodule(f"conv{number}"))
            yield from _with_norms(self.neck.get_submodule(f"detect{number + 1}"))
            yield from _with_norms(bridge)
            assert isinstance(predict, nn.Conv2d)
            yield predict, None


def _with_norms(part: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    for module in part.modules():
        if isinstance(module, ConvModule):
            yield module.conv, module.bn if isinstance(module.bn, nn.BatchNorm2d) else None
