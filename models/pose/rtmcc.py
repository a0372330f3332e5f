"""RTMPose's head: keypoints become tokens, a gated attention unit relates them, two linear layers classify x and y.

Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023; field names of OpenMMLab.
"""

from __future__ import annotations

from torch import Tensor, nn

from models.gau import GatedAttentionUnit, ScaleNorm

TOKEN = 256
"""Width of a keypoint's token."""


class RTMCCHead(nn.Module):
    """From the backbone's features to SimCC's bins.

    Args:
        channels: of the features.
        cells: of the features, height x width.
        bins: of x and of y.
        keypoints: how many it was trained on.
    """

    # Others report that these lose accuracy in TensorRT's float16; they are 2 % of the work.
    keep_float32 = ("mlp", "gau", "cls_x", "cls_y")

    def __init__(self, channels: int, cells: int, bins: tuple[int, int], keypoints: int) -> None:
        super().__init__()
        self.wanted = keypoints
        self.final_layer = nn.Conv2d(channels, keypoints, 7, padding=3)
        self.mlp = nn.Sequential(ScaleNorm(cells), nn.Linear(cells, TOKEN, bias=False))
        self.gau = GatedAttentionUnit(TOKEN)
        self.cls_x = nn.Linear(TOKEN, bins[0], bias=False)
        self.cls_y = nn.Linear(TOKEN, bins[1], bias=False)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, channels, h, w] -> [B, K, bins of x], [B, K, bins of y]."""
        tokens = self.gau(self.mlp(self.final_layer(features).flatten(2)), self.wanted)
        return self.cls_x(tokens), self.cls_y(tokens)
