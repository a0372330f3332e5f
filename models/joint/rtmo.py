"""RTMO, a one-stage pose estimator (Lu et al., 2024), and its published layout."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from models.detect.csp_darknet import NORM, CSPDarknet, Focus, Scale
from models.errors import CheckpointError
from models.joint.dcc import DCC
from models.joint.hybrid_encoder import HybridEncoder
from models.layers import ConvModule, fuse
from models.loading import load_state
from models.serving import COCO_KEYPOINTS
from models.tasks import PixelFormat

SCALES: Mapping[str, Scale] = {
    "t": Scale(1 / 3, 0.375),
    "s": Scale(1 / 3, 0.5),
    "m": Scale(2 / 3, 0.75),
    "l": Scale(1, 1),
}
"""The published sizes."""

STRIDES = (16, 32)
"""Pixels per cell of the two output maps."""

_GROUPS, _PER_GROUP = 8, 36
"""Of the convolutions for the pose, and their channels in the full network."""

_RENAMED = (
    (r"^neck\.encoder\.0\.layers\.0\.self_attn\.attn\.in_proj_(weight|bias)$", r"neck.encoder.in_proj.\1"),
    (r"^neck\.encoder\.0\.layers\.0\.self_attn\.attn\.", "neck.encoder."),
    (r"^neck\.encoder\.0\.layers\.0\.ffn\.layers\.0\.0\.", "neck.encoder.expand."),
    (r"^neck\.encoder\.0\.layers\.0\.ffn\.layers\.1\.", "neck.encoder.contract."),
    (r"^neck\.encoder\.0\.layers\.0\.", "neck.encoder."),
    (r"^head\.head_module\.", "head."),
    (r"^head\.dcc\.", "dcc."),
)
"""OpenMMLab's names -> ours, where they differ."""

_UNUSED = re.compile(r"\.(dim_t|[xy]_bins)$|^head\.(head_module\.out_kpt_reg|dcc\.sigma_fc|loss_\w+)\.")
"""What is only for training, and constants."""


class RTMOHead(nn.Module):
    """The head: at each stride one half of the channels is for the class, the other for box and pose."""

    def __init__(self, scale: Scale, keypoints: int) -> None:
        super().__init__()
        width, hidden = scale.channels(256), _GROUPS * scale.channels(_PER_GROUP)
        self.conv_cls = nn.ModuleList(
            nn.Sequential(*(ConvModule(width, width, 3, NORM) for _ in range(2))) for _ in STRIDES
        )
        self.conv_pose = nn.ModuleList(
            nn.Sequential(
                ConvModule(width, hidden, 3, NORM),
                *(ConvModule(hidden, hidden, 3, NORM, groups=_GROUPS) for _ in range(3)),
            )
            for _ in STRIDES
        )
        self.out_cls = nn.ModuleList(nn.Conv2d(width, 1, 1) for _ in STRIDES)
        self.out_bbox = nn.ModuleList(nn.Conv2d(hidden, 4, 1) for _ in STRIDES)
        self.out_kpt_vis = nn.ModuleList(nn.Conv2d(hidden, keypoints, 1) for _ in STRIDES)
        self.out_pose = nn.ModuleList(nn.Conv2d(hidden, scale.channels(512), 1) for _ in STRIDES)
        for predictor in self.out_cls:
            # Training starts from the belief that one cell in a hundred holds somebody.
            nn.init.constant_(predictor.bias, -math.log(99))  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps at the two strides -> what `RTMO.forward` describes."""
        found, poses = [], []
        for level, feature in enumerate(features):
            by_class, by_pose = feature.chunk(2, dim=1)
            score = self.out_cls[level](self.conv_cls[level](by_class))
            stacked = self.conv_pose[level](by_pose)
            found.append(
                torch.cat([self.out_bbox[level](stacked), score, self.out_kpt_vis[level](stacked)], 1).flatten(2)
            )
            poses.append(self.out_pose[level](stacked).flatten(2))
        return torch.cat(found, dim=2).transpose(1, 2), torch.cat(poses, dim=2).transpose(1, 2)


class RTMO(nn.Module):
    """The whole network; `dcc`, its second part, is called for the persons that are left, and so not by `forward`.

    Args:
        scale: one of `SCALES`, or another.
        keypoints: how many it was trained on.
    """

    pixels: ClassVar = PixelFormat(rgb=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self, scale: Scale, keypoints: int = COCO_KEYPOINTS) -> None:
        super().__init__()
        self.vector = scale.channels(512)
        self.backbone = CSPDarknet(scale)
        self.neck = HybridEncoder(scale)
        self.head = RTMOHead(scale, keypoints)
        self.dcc = DCC(self.vector, keypoints)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw predictions of every anchor.

        Args:
            images: float [B, 3, H, W], BGR, 0..255; H and W multiples of 32.

        Returns:
            [B, A, 5 + K] with A = HW/256 + HW/1024 anchors, stride by stride, row by row: offset of the box's centre
            from the cell's (x, y) and logarithm of the size (w, h), in cells; logit of the score; logits of how visible
            each keypoint is. And [B, A, 512 x width], the vectors of the poses, for `dcc`.
        """
        out: tuple[Tensor, Tensor] = self.head(self.neck(*self.backbone(images)))
        return out

    def fuse(self) -> Self:
        """Fold every batch-norm and every pair of convolutions into one; returns the network, in evaluation mode."""
        fuse(self)
        self.neck.merge()
        self.dcc.fuse()
        if isinstance(self.backbone.stem, Focus):
            self.backbone.stem = self.backbone.stem.folded()
        return self

    def parted(self) -> tuple[Self, DCC]:
        """What is to be compiled: the network itself, from now on without its second part, and that part."""
        dcc = self.dcc
        del self.dcc
        return self, dcc

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of a checkpoint that OpenMMLab published, of whatever size; not fused.

        Raises:
            CheckpointError: `state` is not that of an RTMO, or of one for other keypoints than COCO's.
        """
        try:
            stem = state["backbone.stem.conv.conv.weight"]
            keypoints = len(state["head.head_module.out_kpt_vis.0.bias"])
        except KeyError as error:
            raise CheckpointError(f"these weights are not of an RTMO: they lack {error}") from None
        if keypoints != COCO_KEYPOINTS:
            raise CheckpointError(f"this RTMO finds {keypoints} keypoints; take one for the {COCO_KEYPOINTS} of COCO")
        blocks = {name.split(".")[4] for name in state if name.startswith("backbone.stage1.1.blocks.")}
        network = cls(Scale(len(blocks) / 3, len(stem) / 64))
        load_state(network, from_openmmlab(state))
        return network.eval()


def from_openmmlab(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under our names, without those that only training needs."""
    return {_translate(name): tensor for name, tensor in state.items() if not _UNUSED.search(name)}


def _translate(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
