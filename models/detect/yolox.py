"""YOLOX, an anchor-free detector (Ge et al., "YOLOX: Exceeding YOLO Series in 2021"), and its published layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from models.detect.csp_darknet import CSPDarknet, Focus, Scale
from models.detect.grid import STRIDES
from models.detect.megvii import from_megvii, is_megvii
from models.detect.pafpn import PAFPN
from models.errors import CheckpointError
from models.formats.onnx import OnnxGraph
from models.layers import fuse
from models.loading import depth_of, graph_state, layer_weights, load_state
from models.tasks import PixelFormat

SCALES: Mapping[str, Scale] = {
    "nano": Scale(1 / 3, 0.25, depthwise=True),
    "tiny": Scale(1 / 3, 0.375),
    "s": Scale(1 / 3, 0.5),
    "m": Scale(2 / 3, 0.75),
    "l": Scale(1, 1),
    "x": Scale(4 / 3, 1.25),
}
"""The published sizes."""


class YOLOXHead(nn.Module):
    """The decoupled head: two stacks of convolutions per stride, one for the class, one for box and objectness."""

    def __init__(self, scale: Scale, classes: int) -> None:
        super().__init__()
        width = scale.channels(256)

        def stacks() -> nn.ModuleList:
            return nn.ModuleList(nn.Sequential(scale.conv(width, width), scale.conv(width, width)) for _ in STRIDES)

        def predictors(channels: int) -> nn.ModuleList:
            return nn.ModuleList(nn.Conv2d(width, channels, 1) for _ in STRIDES)

        self.multi_level_cls_convs = stacks()
        self.multi_level_reg_convs = stacks()
        self.multi_level_conv_cls = predictors(classes)
        self.multi_level_conv_reg = predictors(4)
        self.multi_level_conv_obj = predictors(1)
        for predictor in (*self.multi_level_conv_cls, *self.multi_level_conv_obj):
            # Training starts from the belief that one cell in a hundred holds something.
            nn.init.constant_(predictor.bias, -math.log(99))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Maps at the three strides -> [B, A, 5 + classes], see `YOLOX.forward`."""
        levels = []
        for level, feature in enumerate(features):
            by_class = self.multi_level_cls_convs[level](feature)
            by_box = self.multi_level_reg_convs[level](feature)
            class_logits = self.multi_level_conv_cls[level](by_class)
            box = self.multi_level_conv_reg[level](by_box)
            objectness = self.multi_level_conv_obj[level](by_box)
            levels.append(torch.cat([box, objectness, class_logits], dim=1).flatten(2))
        return torch.cat(levels, dim=2).transpose(1, 2)


class YOLOX(nn.Module):
    """The whole network.

    Args:
        scale: one of `SCALES`, or another.
        classes: how many it tells apart; COCO's 80, of which the first is the person.
    """

    pixels: ClassVar = PixelFormat(rgb=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self, scale: Scale, classes: int = 80) -> None:
        super().__init__()
        self.backbone = CSPDarknet(scale)
        self.neck = PAFPN(scale, scale.pointwise)
        self.bbox_head = YOLOXHead(scale, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Raw predictions of every anchor.

        Args:
            images: float [B, 3, H, W], BGR, 0..255; H and W multiples of 32.

        Returns:
            [B, A, 5 + classes] with A = HW/64 + HW/256 + HW/1024 anchors, stride by stride, row by row: offset of the
            centre from the cell's corner (x, y) and logarithm of the size (w, h), in cells; logit of the objectness;
            logits of the classes.
        """
        out: Tensor = self.bbox_head(self.neck(*self.backbone(images)))
        return out

    def keep_classes(self, classes: Sequence[int]) -> Self:
        """Predict only these classes from now on, in this order; returns the network itself."""
        for predictor in self.bbox_head.multi_level_conv_cls:
            assert isinstance(predictor, nn.Conv2d)
            assert predictor.bias is not None
            predictor.weight = nn.Parameter(predictor.weight.detach()[list(classes)])
            predictor.bias = nn.Parameter(predictor.bias.detach()[list(classes)])
            predictor.out_channels = len(classes)
        return self

    def fuse(self) -> Self:
        """Fold every batch-norm into its convolution and the stem into one; returns the network, in evaluation mode."""
        fuse(self)
        if isinstance(self.backbone.stem, Focus):
            self.backbone.stem = self.backbone.stem.folded()
        return self

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of a published checkpoint, OpenMMLab's or Megvii's, of whatever size; not fused.

        Raises:
            CheckpointError: `state` is not that of a YOLOX.
        """
        if is_megvii(state):
            state = from_megvii(state)
        try:
            stem = state["backbone.stem.conv.conv.weight"]
            classes = len(state["bbox_head.multi_level_conv_cls.0.bias"])
        except KeyError as error:
            raise CheckpointError(f"these weights are not of a YOLOX: they lack {error}") from None
        blocks = {name.split(".")[4] for name in state if name.startswith("backbone.stage1.1.blocks.")}
        depthwise = any(".depthwise_conv." in name for name in state)
        network = cls(Scale(len(blocks) / 3, len(stem) / 64, depthwise), classes)
        load_state(network, state)
        return network.eval()

    @classmethod
    def from_onnx(cls, graph: OnnxGraph) -> Self:
        """The network of a graph that OpenMMLab's tools exported, of whatever size; fused.

        Raises:
            CheckpointError: `graph` is not a YOLOX.
        """
        classes = graph.initializers.get("bbox_head.multi_level_conv_cls.0.bias")
        convolutions = layer_weights(graph, "Conv")
        if classes is None or not convolutions:
            raise CheckpointError("this graph is not a YOLOX: it lacks bbox_head.multi_level_conv_cls.0.bias")
        depthwise = any(node.attributes.get("group", 1) > 1 for node in graph.nodes if node.op == "Conv")
        depths = {scale.depth for scale in SCALES.values()}
        depth = depth_of(graph, depths, lambda depth: cls(Scale(depth, 1 / 8, depthwise)))
        scale = Scale(depth, len(convolutions[0]) / 64, depthwise)
        network = fuse(cls(scale, len(classes)))
        load_state(network, graph_state(network, graph, torch.zeros(1, 3, 64, 64)))
        return network.fuse()
