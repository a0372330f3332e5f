"""RTMDet-Ins, RTMDet with a mask for every box (Lyu et al., 2022, section 3.4), and its published layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cspnext import NORM, CSPNeXt, Scale
from models.detect.grid import STRIDES
from models.detect.pafpn import PAFPN
from models.detect.rtmdet import PIXELS, expect_little, keep_outputs, predictors, size_of, stacks
from models.joint.dynamic_masks import PARAMETERS, PROTOTYPES
from models.layers import ConvModule, fuse
from models.loading import load_state


class PrototypeHead(nn.Module):
    """From all three maps together to the prototypes, maps that every person's mask is made of."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fusion_conv = nn.Conv2d(len(STRIDES) * width, width, 1)
        self.stacked_convs = nn.Sequential(*(ConvModule(width, width, 3, NORM) for _ in range(4)))
        self.projection = nn.Conv2d(width, PROTOTYPES, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps at the three strides -> [B, 8, H / 8, W / 8]."""
        finest, *coarser = features
        size = finest.shape[-2:]
        same_size = [F.interpolate(feature, size, mode="bilinear", align_corners=False) for feature in coarser]
        out: Tensor = self.projection(self.stacked_convs(self.fusion_conv(torch.cat([finest, *same_size], dim=1))))
        return out


class RTMDetInsHead(nn.Module):
    """The head: at each stride a stack of convolutions for class and box, and one for the kernels of the mask."""

    def __init__(self, scale: Scale, classes: int) -> None:
        super().__init__()
        width = scale.channels(256)
        self.cls_convs = stacks(scale, shared=True)
        self.reg_convs = self.cls_convs  # one stack, which the published files have under both names
        self.kernel_convs = stacks(scale, shared=False)
        self.rtm_cls = predictors(width, classes)
        self.rtm_reg = predictors(width, 4)
        self.rtm_kernel = predictors(width, PARAMETERS)
        self.mask_head = PrototypeHead(width)
        expect_little(self.rtm_cls)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Maps at the three strides -> what `RTMDetIns.forward` describes."""
        boxes, kernels = [], []
        for level, (feature, stride) in enumerate(zip(features, STRIDES, strict=True)):
            stacked = self.cls_convs[level](feature)
            distances = F.relu(self.rtm_reg[level](stacked)) * stride
            boxes.append(torch.cat([distances, self.rtm_cls[level](stacked)], dim=1).flatten(2))
            kernels.append(self.rtm_kernel[level](self.kernel_convs[level](feature)).flatten(2))
        return (
            torch.cat(boxes, dim=2).transpose(1, 2),
            torch.cat(kernels, dim=2).transpose(1, 2),
            self.mask_head(features),
        )


class RTMDetIns(nn.Module):
    """The whole network.

    Args:
        scale: one of RTMDet's but for the nano, or another.
        classes: how many it tells apart, of which the first is the person.
    """

    pixels: ClassVar = PIXELS

    def __init__(self, scale: Scale, classes: int = 80) -> None:
        super().__init__()
        self.backbone = CSPNeXt(scale)
        self.neck = PAFPN(scale, scale.conv)
        self.bbox_head = RTMDetInsHead(scale, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Raw predictions of every anchor, and the prototypes of the masks.

        Args:
            images: float [B, 3, H, W], BGR, normalised as `pixels` says; H and W multiples of 32.

        Returns:
            [B, A, 4 + classes], as `RTMDet.forward` gives them; [B, A, 169], the kernels of each anchor's mask, and
            [B, 8, H / 8, W / 8], the prototypes, for `models.joint.dynamic_masks`.
        """
        out: tuple[Tensor, Tensor, Tensor] = self.bbox_head(self.neck(*self.backbone(images)))
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
            CheckpointError: `state` is not that of an RTMDet-Ins.
        """
        network = cls(*size_of(state, "an RTMDet-Ins"))
        load_state(network, state)
        return network.eval()
