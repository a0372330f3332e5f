"""The neck of YOLOX and RTMDet, a path-aggregation network, with OpenMMLab's field names."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers import NetworkScale


class PAFPN(nn.Module):
    """Features flow from coarse to fine and back (Liu et al., "Path Aggregation Network", 2018).

    Args:
        scale: of the network.
        out: makes the last convolution of each map, from so many channels to so many.
    """

    def __init__(self, scale: NetworkScale, out: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        c256, c512, c1024 = (scale.channels(full) for full in (256, 512, 1024))
        blocks = scale.blocks(3)
        self.reduce_layers = nn.ModuleList([scale.pointwise(c1024, c512), scale.pointwise(c512, c256)])
        self.top_down_blocks = nn.ModuleList(
            [scale.csp(2 * c512, c512, blocks, shortcut=False), scale.csp(2 * c256, c256, blocks, shortcut=False)]
        )
        self.downsamples = nn.ModuleList([scale.conv(c256, c256, stride=2), scale.conv(c512, c512, stride=2)])
        self.bottom_up_blocks = nn.ModuleList(
            [scale.csp(2 * c256, c512, blocks, shortcut=False), scale.csp(2 * c512, c1024, blocks, shortcut=False)]
        )
        self.out_convs = nn.ModuleList(out(channels, c256) for channels in (c256, c512, c1024))

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> list[Tensor]:
        """The backbone's features -> three maps of 256 x width channels at the same strides."""
        coarse = self.reduce_layers[0](stride32)
        mixed = self.top_down_blocks[0](torch.cat([_upsample(coarse), stride16], dim=1))
        middle = self.reduce_layers[1](mixed)
        out8 = self.top_down_blocks[1](torch.cat([_upsample(middle), stride8], dim=1))
        out16 = self.bottom_up_blocks[0](torch.cat([self.downsamples[0](out8), middle], dim=1))
        out32 = self.bottom_up_blocks[1](torch.cat([self.downsamples[1](out16), coarse], dim=1))
        return [conv(out) for conv, out in zip(self.out_convs, (out8, out16, out32), strict=True)]


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
