"""Pose2Seg (Zhang et al., 2019): a ResNet-50 with a feature pyramid, and the network that cuts one aligned person out.

Names are those of the released weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.loading import load_state
from models.residual import Bottleneck, Foldable
from models.segment.skeleton_maps import MAPS
from models.tasks import IMAGENET

CHANNELS = 256
"""Of the features, and of what follows them."""

_SEGMENT_BRANCH = "pose2seg.seg_branch."
"""What the released file calls `segnet.`."""


class CaffeBottleneck(Foldable):
    """A residual block of the backbone (He et al., 2016); its first convolution has the stride, as in Caffe."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.normed = {"conv1": "bn1", "conv2": "bn2", "conv3": "bn3"}
        self.shortcut = inputs != outputs
        if self.shortcut:
            self.conv4 = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.bn4 = nn.BatchNorm2d(outputs)
            self.normed |= {"conv4": "bn4"}

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (self.bn4(self.conv4(x)) if self.shortcut else x))


class Backbone(Foldable):
    """ResNet-50 and a feature pyramid (Lin et al., 2017) whose finest level alone is used.

    The last convolutions of the coarser levels, `fpn_p2` to `fpn_p4`, are in the released file and lead nowhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.normed = {"conv1": "bn1"}
        self.layer1 = _stage(64, 256, blocks=3, stride=1)
        self.layer2 = _stage(256, 512, blocks=4, stride=2)
        self.layer3 = _stage(512, 1024, blocks=6, stride=2)
        self.layer4 = _stage(1024, 2048, blocks=3, stride=2)
        self.fpn_c1p1 = nn.Conv2d(256, CHANNELS, 1)
        self.fpn_c2p2 = nn.Conv2d(512, CHANNELS, 1)
        self.fpn_c3p3 = nn.Conv2d(1024, CHANNELS, 1)
        self.fpn_c4p4 = nn.Conv2d(2048, CHANNELS, 1)
        self.fpn_p1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.fpn_p2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.fpn_p3 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.fpn_p4 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Features at a quarter of the resolution, float [B, 256, H / 4, W / 4], of normalised RGB [B, 3, H, W]."""
        c1 = self.layer1(F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, padding=1))
        c2 = self.layer2(c1)
        c3 = self.layer3(c2)
        c4 = self.layer4(c3)
        top = self.fpn_c4p4(c4)
        top = _upsampled(top, self.fpn_c3p3(c3))
        top = _upsampled(top, self.fpn_c2p2(c2))
        top = _upsampled(top, self.fpn_c1p1(c1))
        features: Tensor = self.fpn_p1(top)
        return features


def _stage(inputs: int, outputs: int, *, blocks: int, stride: int) -> nn.Sequential:
    first = CaffeBottleneck(inputs, outputs // 4, outputs, stride)
    return nn.Sequential(first, *(CaffeBottleneck(outputs, outputs // 4, outputs, 1) for _ in range(blocks - 1)))


def _upsampled(top: Tensor, lateral: Tensor) -> Tensor:
    return lateral + F.interpolate(top, lateral.shape[-2:], mode="bilinear", align_corners=False)


class SegModule(Foldable):
    """From the aligned features of one person, with the skeleton drawn beside them, to the person's mask."""

    def __init__(self, inputs: int = CHANNELS + MAPS, units: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, 256, 7, 2, padding=3)
        self.bn1 = nn.BatchNorm2d(256)
        self.normed = {"conv1": "bn1"}
        first, rest = Bottleneck(256, 256, bias=True), (Bottleneck(1024, 256, bias=True) for _ in range(units - 1))
        self.layer1 = nn.Sequential(first, *rest)
        self.decoder1 = nn.Sequential(Bottleneck(1024, 128, bias=True))
        self.pred_small = nn.Conv2d(512, 2, 1)

    def forward(self, aligned: Tensor) -> Tensor:
        """Logits of background and person, float [N, 2, S, S], of `aligned`, float [N, 256 + 55, S, S]."""
        x = self.layer1(F.relu(self.bn1(self.conv1(aligned))))
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        logits: Tensor = self.pred_small(self.decoder1(x))
        return logits


class Pose2Seg(nn.Module):
    """Both networks; what is between them, `models.segment.affine_align` and `skeleton_maps`, has no weights."""

    pixels: ClassVar = IMAGENET

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.segnet = SegModule()

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of the released file.

        Raises:
            CheckpointError: `state` is not that of a Pose2Seg.
        """
        network = cls()
        load_state(network, {_renamed(name): tensor for name, tensor in state.items()})
        return network.eval()


class FeaturesLast(nn.Module):
    """The backbone, its features with channels last, [B, H / 4, W / 4, 256], as they are sampled."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.backbone(images)
        return features.permute(0, 2, 3, 1).contiguous()


class FromAligned(nn.Module):
    """The segment network, its input in the two parts of which it is made."""

    def __init__(self, segnet: SegModule) -> None:
        super().__init__()
        self.segnet = segnet

    def forward(self, features: Tensor, skeletons: Tensor) -> Tensor:
        """Logits [N, 2, S, S] of `features`, [N, S, S, 256], and `skeletons`, [N, 55, S, S]."""
        logits: Tensor = self.segnet(torch.cat([features.permute(0, 3, 1, 2), skeletons], 1))
        return logits


def _renamed(name: str) -> str:
    return f"segnet.{name.removeprefix(_SEGMENT_BRANCH)}" if name.startswith(_SEGMENT_BRANCH) else name
