"""RTMDet, an anchor-free detector (Lyu et al., "RTMDet: An Empirical Study", 2022), and its published layout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from models.cspnext import CSPNeXt, Scale
from models.detect.grid import STRIDES
from models.detect.pafpn import PAFPN
from models.errors import CheckpointError
from models.layers import fuse
from models.loading import load_state
from models.tasks import IMAGENET, PixelFormat

SCALES: Mapping[str, Scale] = {
    "nano": Scale(1 / 3, 0.25, depthwise=True),
    "tiny": Scale(1 / 6, 0.375),
    "s": Scale(1 / 3, 0.5),
    "m": Scale(2 / 3, 0.75),
    "l": Scale(1, 1),
    "x": Scale(4 / 3, 1.25),
}
"""The published sizes."""

PIXELS = PixelFormat(rgb=False, mean=IMAGENET.mean[::-1], std=IMAGENET.std[::-1])
"""What it was trained on: ImageNet's mean and deviation, in the order blue, green, red."""

_EXPONENTIAL_FROM = 0.75
"""The width from which the published sizes predict the logarithm of a distance. A checkpoint does not tell."""


class RTMDetHead(nn.Module):
    """The head: at each stride a stack of convolutions for the class and one for the box.

    The strides share the convolutions, and have batch-norms of their own; those of the nano are all of its own.
    """

    def __init__(self, scale: Scale, classes: int) -> None:
        super().__init__()
        width = scale.channels(256)
        self.cls_convs = stacks(scale, shared=not scale.depthwise)
        self.reg_convs = stacks(scale, shared=not scale.depthwise)
        self.rtm_cls = predictors(width, classes)
        self.rtm_reg = predictors(width, 4)
        self.exponential = scale.width >= _EXPONENTIAL_FROM
        expect_little(self.rtm_cls)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps at the three strides -> [B, A, 4 + classes], see `RTMDet.forward`."""
        levels = []
        for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
            box = self.rtm_reg[level](self.reg_convs[level](feature))
            distances = (box.exp() if self.exponential else box) * stride
            logits = self.rtm_cls[level](self.cls_convs[level](feature))
            levels.append(torch.cat([distances, logits], dim=1).flatten(2))
        return torch.cat(levels, dim=2).transpose(1, 2)


class RTMDet(nn.Module):
    """The whole network.

    Args:
        scale: one of `SCALES`, or another.
        classes: how many it tells apart, of which the first is the person.
    """

    pixels: ClassVar = PIXELS

    def __init__(self, scale: Scale, classes: int = 80) -> None:
        super().__init__()
        self.backbone = CSPNeXt(scale)
        self.neck = PAFPN(scale, scale.conv)
        self.bbox_head = RTMDetHead(scale, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Raw predictions of every anchor.

        Args:
            images: float [B, 3, H, W], BGR, normalised as `pixels` says; H and W multiples of 32.

        Returns:
            [B, A, 4 + classes] with A = HW/64 + HW/256 + HW/1024 anchors, stride by stride, row by row: distances of
            the box's left, top, right and bottom from the cell's top-left corner, in pixels; logits of the classes.
        """
        out: Tensor = self.bbox_head(self.neck(*self.backbone(images)))
        return out

    def keep_classes(self, classes: Sequence[int]) -> Self:
        """Predict only these classes from now on, in this order; returns the network itself."""
        keep_outputs(self.bbox_head.rtm_cls, classes)
        return self

    def fuse(self) -> Self:
        """Fold every batch-norm into its convolution; returns the network itself, in evaluation mode."""
        return fuse(self)

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of a checkpoint that OpenMMLab published, of whatever size; not fused.

        Raises:
            CheckpointError: `state` is not that of an RTMDet.
        """
        network = cls(*size_of(state, "an RTMDet"))
        load_state(network, state)
        return network.eval()


def stacks(scale: Scale, *, shared: bool) -> nn.ModuleList:
    """A stack of two 3x3 convolutions for each stride, of 256 x width channels.

    Args:
        scale: of the network.
        shared: whether all strides have the same convolutions, each behind batch-norms of its own.
    """
    width = scale.channels(256)
    made = [nn.Sequential(scale.conv(width, width), scale.conv(width, width)) for _ in STRIDES]
    if shared:
        for stack in made[1:]:
            for own, first in zip(stack, made[0], strict=True):
                own.conv = first.conv
    return nn.ModuleList(made)


def predictors(width: int, channels: int) -> nn.ModuleList:
    """A 1x1 convolution from `width` to `channels` for each stride."""
    return nn.ModuleList(nn.Conv2d(width, channels, 1) for _ in STRIDES)


def expect_little(convolutions: nn.ModuleList) -> None:
    """Let training start from the belief that one cell in a hundred holds something."""
    for convolution in _convolutions(convolutions):
        assert convolution.bias is not None
        nn.init.constant_(convolution.bias, -math.log(99))


def keep_outputs(convolutions: nn.ModuleList, channels: Sequence[int]) -> None:
    """Let these convolutions give only these of their output channels from now on, in this order."""
    for convolution in _convolutions(convolutions):
        assert convolution.bias is not None
        convolution.weight = nn.Parameter(convolution.weight.detach()[list(channels)])
        convolution.bias = nn.Parameter(convolution.bias.detach()[list(channels)])
        convolution.out_channels = len(channels)


def size_of(state: Mapping[str, Tensor], name: str) -> tuple[Scale, int]:
    """The scale and the number of classes of a checkpoint of an RTMDet, or of one of its relatives called `name`.

    Raises:
        CheckpointError: it lacks the tensors that tell.
    """
    try:
        stem = state["backbone.stem.2.conv.weight"]
        classes = len(state["bbox_head.rtm_cls.0.bias"])
    except KeyError as error:
        raise CheckpointError(f"these weights are not of {name}: they lack {error}") from None
    blocks = {key.split(".")[4] for key in state if key.startswith("backbone.stage2.1.blocks.")}
    depthwise = any(key.startswith("backbone.stage1.0.depthwise_conv.") for key in state)
    return Scale(len(blocks) / 6, len(stem) / 64, depthwise), classes


def _convolutions(modules: nn.ModuleList) -> list[nn.Conv2d]:
    return [module for module in modules if isinstance(module, nn.Conv2d)]
