"""RTMO's dynamic coordinate classifier: from a person's vector and box to the places of the keypoints.

Lu et al., "RTMO: Towards High-Performance One-Stage Real-Time Multi-Person Pose Estimation", 2024, section 3.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

from models.gau import KEY, GatedAttentionUnit
from models.joint.sine import sine_encoding

BINS = (192, 256)
"""Places along x and y that a keypoint is classified into."""

PADDING = 1.25
"""The bins cover this many times the box."""

_TOKEN, _TEMPERATURE = 128, 300.0


class DCC(nn.Module):
    """Compares each keypoint with the encodings of places all over the box, and takes the mean of the likely ones.

    Args:
        channels: of a person's vector.
        keypoints: how many there are.
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.pose_to_kpts = nn.Sequential(nn.Linear(channels, keypoints * _TOKEN), nn.BatchNorm1d(keypoints * _TOKEN))
        self.gau = GatedAttentionUnit(_TOKEN)
        self.pos_enc = nn.Parameter(torch.randn(keypoints, KEY))
        self.x_fc = nn.Linear(_TOKEN, _TOKEN)
        self.y_fc = nn.Linear(_TOKEN, _TOKEN)

    def forward(self, poses: Tensor, regions: Tensor) -> Tensor:
        """Where the keypoints of each person are.

        Args:
            poses: [N, channels], the vectors.
            regions: [N, 4], centre (x, y), relative to the person's anchor, and size (w, h) of what the bins cover:
                `PADDING` times the box; pixels of the network's input.

        Returns:
            [N, K, 2], x and y relative to the anchor, in the same pixels.
        """
        keypoints = len(self.pos_enc)
        tokens = self.gau(self.pose_to_kpts(poses).unflatten(-1, (keypoints, _TOKEN)), keypoints, self.pos_enc)
        axes = []
        for axis, (bins, project) in enumerate(zip(BINS, (self.x_fc, self.y_fc), strict=True)):
            across = torch.linspace(-0.5, 0.5, bins, device=poses.device)
            places = across * regions[:, 2 + axis, None] + regions[:, axis, None]
            encodings = sine_encoding(places, _TOKEN, _TEMPERATURE).to(tokens.dtype)
            # Keypoints times weights first: to project the encodings is more than ten times the work. Their bias, the
            # same for all bins, would not survive the softmax.
            likely = (tokens @ project.weight @ encodings.transpose(1, 2)).softmax(dim=-1)
            axes.append((likely @ places[..., None])[..., 0])
        return torch.stack(axes, dim=-1)

    def fuse(self) -> None:
        """Fold the batch-norm, in its evaluation form, into the layer before it."""
        if len(self.pose_to_kpts) == 2:
            linear, norm = self.pose_to_kpts.eval()
            assert isinstance(linear, nn.Linear) and isinstance(norm, nn.BatchNorm1d)
            self.pose_to_kpts = nn.Sequential(fuse_linear_bn_eval(linear, norm))
