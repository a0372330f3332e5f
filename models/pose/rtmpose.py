"""RTMPose, a top-down pose estimator (Jiang et al., 2023), and its published layouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from models.cspnext import CSPNeXt, Scale
from models.errors import CheckpointError
from models.formats.onnx import OnnxGraph
from models.gau import KEY
from models.layers import fuse
from models.loading import depth_of, graph_state, layer_weights, load_state
from models.pose.rtmcc import RTMCCHead
from models.pose.simcc import SPLIT_RATIO
from models.tasks import IMAGENET

SCALES: Mapping[str, Scale] = {
    "t": Scale(1 / 6, 0.375),
    "s": Scale(1 / 3, 0.5),
    "m": Scale(2 / 3, 0.75),
    "l": Scale(1, 1),
    "x": Scale(4 / 3, 1.25),
}
"""The published sizes."""

_NAMED = ("backbone.stage1.1.attention.fc.bias", "head.final_layer.bias")
"""Two tensors that keep their name in an export, and tell the width and the number of keypoints."""


class RTMPose(nn.Module):
    """The whole network.

    Args:
        scale: one of `SCALES`, or another.
        keypoints: 17 (COCO) or 26 (Halpe, whose first 17 are COCO's).
        size: height and width of its input, pixels; multiples of 32.
    """

    pixels: ClassVar = IMAGENET
    # In int8 these lose most: with them .023 AP of keypoints, without .008. They are 28 % of the work.
    not_int8: ClassVar = ("backbone.stem", "backbone.stage4.0", "head")

    def __init__(self, scale: Scale, keypoints: int = 17, size: tuple[int, int] = (256, 192)) -> None:
        super().__init__()
        height, width = size
        self.size = size
        self.backbone = CSPNeXt(scale)
        self.head = RTMCCHead(
            channels=int(1024 * scale.width),
            cells=(height // 32) * (width // 32),
            bins=(width * SPLIT_RATIO, height * SPLIT_RATIO),
            keypoints=keypoints,
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """How much each keypoint is in each column and in each row.

        Args:
            images: float [B, 3, H, W] of `size`, RGB, normalised as `pixels` says.

        Returns:
            [B, K, 2 W] for x and [B, K, 2 H] for y, two bins per pixel; the largest tells the place and how sure it is.
        """
        out: tuple[Tensor, Tensor] = self.head(self.backbone(images)[-1])
        return out

    def keep_keypoints(self, count: int) -> Self:
        """Compute only the first `count` keypoints from now on; returns the network itself.

        What it says of these stays the same: they go on attending to the others, whose tokens are still made.
        """
        self.head.wanted = count
        return self

    def fuse(self) -> Self:
        """Fold every batch-norm into its convolution; returns the network itself, in evaluation mode."""
        return fuse(self)

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Tensor]) -> Self:
        """The network of a checkpoint that OpenMMLab published, of whatever size; not fused.

        Raises:
            CheckpointError: `state` is not that of an RTMPose.
        """
        try:
            stem, last = state["backbone.stem.2.conv.weight"], state["head.final_layer.bias"]
            columns, rows = len(state["head.cls_x.weight"]), len(state["head.cls_y.weight"])
        except KeyError as error:
            raise CheckpointError(f"these weights are not of an RTMPose: they lack {error}") from None
        blocks = {name.split(".")[4] for name in state if name.startswith("backbone.stage2.1.blocks.")}
        size = (rows // SPLIT_RATIO, columns // SPLIT_RATIO)
        network = cls(Scale(len(blocks) / 6, len(stem) / 64), len(last), size)
        load_state(network, state)
        return network.eval()

    @classmethod
    def from_onnx(cls, graph: OnnxGraph) -> Self:
        """The network of a graph that OpenMMLab's tools exported, of whatever size; fused.

        Raises:
            CheckpointError: `graph` is not an RTMPose.
        """
        attention, last = (graph.initializers.get(name) for name in _NAMED)
        gamma = next((array for array in graph.initializers.values() if array.shape == (1, 1, 2, KEY)), None)
        products = layer_weights(graph, "MatMul")
        if attention is None or last is None or gamma is None or len(products) < 2:
            raise CheckpointError("this graph is not an RTMPose: it lacks tensors of the attention or of the head")
        columns, rows = (product.shape[1] for product in products[-2:])
        size = (rows // SPLIT_RATIO, columns // SPLIT_RATIO)
        depth = depth_of(graph, {scale.depth for scale in SCALES.values()}, lambda depth: cls(Scale(depth, 1 / 8)))
        network = fuse(cls(Scale(depth, len(attention) / 128), len(last), size))
        state = graph_state(network, graph, torch.zeros(1, 3, *size))
        # The exporter has renamed and reshaped this one tensor that is neither a convolution nor a matrix.
        state["head.gau.gamma"] = torch.from_numpy(gamma.reshape(2, KEY))
        load_state(network, state)
        return network
