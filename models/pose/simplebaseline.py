"""SimpleBaseline: a ResNet, three deconvolutions and a heat map per keypoint (Xiao et al., 2018).

Field names of the authors (microsoft/human-pose-estimation.pytorch), which are torchvision's in the trunk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, get_args

from torch import Tensor, nn

from models.errors import CheckpointError
from models.loading import load_state
from models.pose.attention import HolisticAttention, PartAttention
from models.pose.published import simplebaseline_names
from models.residual import Bottleneck, Foldable

BLOCKS: Mapping[int, tuple[int, int, int, int]] = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Layers of the ResNet -> blocks of its four stages."""

STRIDE = 4
"""Pixels of the input per cell of a heat map."""

FEATURES = 256
"""Channels of each deconvolution."""

Attention = Literal["none", "holistic", "part", "both"]
ATTENTIONS: tuple[Attention, ...] = get_args(Attention)


class SimpleBaseline(Foldable):
    """The network.

    Args:
        depth: of the ResNet, a key of `BLOCKS`.
        keypoints: how many heat maps.
        attention: on the way to the heat maps: "holistic" weighs the features of all three deconvolutions, "part" those
            of each keypoint, "both" the one after the other.
        depths: whether a second head says of each keypoint, place by place, how far away it is.
    """

    def __init__(
        self, depth: int = 50, keypoints: int = 17, attention: Attention = "none", *, depths: bool = False
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        first, second, third, fourth = BLOCKS[depth]
        self.layer1 = _stage(64, 64, first, 1)
        self.layer2 = _stage(256, 128, second, 2)
        self.layer3 = _stage(512, 256, third, 2)
        self.layer4 = _stage(1024, 512, fourth, 2)
        self.deconv_layers = nn.Sequential(*_deconvolution(2048), *_deconvolution(FEATURES), *_deconvolution(FEATURES))
        self.holistic = HolisticAttention(FEATURES) if attention in ("holistic", "both") else None
        self.part = PartAttention(FEATURES, keypoints) if attention in ("part", "both") else nn.Identity()
        self.final_layer = nn.Conv2d(keypoints if attention in ("part", "both") else FEATURES, keypoints, 1)
        self.depth_layer = nn.Conv2d(FEATURES, keypoints, 1) if depths else None
        self.normed = {"conv1": "bn1"} | {f"deconv_layers.{i}": f"deconv_layers.{i + 1}" for i in (0, 3, 6)}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Where each keypoint is.

        Args:
            images: float [B, 3, H, W], H and W multiples of 32, normalised as the weights want it.

        Returns:
            Heat maps [B, K, H / 4, W / 4], about 1 at the keypoint; with `depths`, then the distances in that shape.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        levels = [first := self.deconv_layers[:3](x), second := self.deconv_layers[3:6](first)]
        levels.append(self.deconv_layers[6:](second))
        features = levels[-1] if self.holistic is None else self.holistic(levels)
        heatmaps: Tensor = self.final_layer(self.part(features))
        return (heatmaps,) if self.depth_layer is None else (heatmaps, self.depth_layer(levels[-1]))

    def load(self, state: Mapping[str, Tensor]) -> Self:
        """Take the weights of a checkpoint of Microsoft, OpenMMLab or the 3D variant; returns the network itself.

        Raises:
            CheckpointError: `state` is not that of this network.
        """
        state = simplebaseline_names(state)
        found = len(state["final_layer.bias"]) if "final_layer.bias" in state else 0
        if found not in (0, self.final_layer.out_channels):
            raise CheckpointError(
                f"these weights find {found} keypoints, this model {self.final_layer.out_channels}: another skeleton"
            )
        load_state(self, state)
        return self


def _stage(inputs: int, inside: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (Bottleneck(4 * inside, inside) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(inputs, inside, stride), *rest)


def _deconvolution(inputs: int) -> tuple[nn.Module, ...]:
    """Twice the resolution."""
    upsample = nn.ConvTranspose2d(inputs, FEATURES, 4, 2, 1, bias=False)
    return upsample, nn.BatchNorm2d(FEATURES), nn.ReLU(inplace=True)
