"""RTMO's neck, the hybrid encoder of RT-DETR (Lv et al., "DETRs Beat YOLOs on Real-time Object Detection", 2023)."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.detect.csp_darknet import Scale
from models.joint.sine import grid_encoding
from models.layers import ConvModule, fuse

NORM = partial(nn.BatchNorm2d, eps=1e-5)
"""Its batch-norm; that of the backbone has another epsilon."""

WIDTH = 256
"""Channels of its maps, whatever the size of the network."""

_HEADS, _HIDDEN, _TEMPERATURE = 8, 1024, 10_000.0


class TransformerLayer(nn.Module):
    """One layer of a transformer's encoder, normalised after each sum; places are added to queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj = nn.Linear(WIDTH, 3 * WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.expand = nn.Linear(WIDTH, _HIDDEN)
        self.contract = nn.Linear(_HIDDEN, WIDTH)
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])

    def forward(self, tokens: Tensor, places: Tensor) -> Tensor:
        """[B, T, 256] with the places of the tokens, [T, 256], -> the same shape."""
        weight, bias = self.in_proj.weight, self.in_proj.bias
        query, key = F.linear(tokens + places, weight[: 2 * WIDTH], bias[: 2 * WIDTH]).chunk(2, dim=-1)
        value = F.linear(tokens, weight[2 * WIDTH :], bias[2 * WIDTH :])
        query, key, value = (torch.unflatten(x, -1, (_HEADS, -1)).transpose(1, 2) for x in (query, key, value))
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = self.norms[0](tokens + self.out_proj(attended))
        out: Tensor = self.norms[1](tokens + self.contract(F.gelu(self.expand(tokens))))
        return out


class RepVGGBlock(nn.Module):
    """A 3x3 and a 1x1 convolution side by side, which become one afterwards (Ding et al., "RepVGG", 2021)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch_3x3 = ConvModule(channels, channels, 3, NORM, activation=nn.Identity)
        self.branch_1x1 = ConvModule(channels, channels, 1, NORM, activation=nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        return F.silu(self.branch_3x3(x) + self.branch_1x1(x))

    def merged(self) -> ConvModule:
        """The same function as one convolution; folds the batch-norms of this block."""
        wide, narrow = (fuse(branch).conv for branch in (self.branch_3x3, self.branch_1x1))
        channels = wide.out_channels
        merged = fuse(ConvModule(channels, channels, 3, NORM))
        weight = wide.weight.detach() + F.pad(narrow.weight.detach(), [1, 1, 1, 1])
        assert wide.bias is not None and narrow.bias is not None
        merged.conv.load_state_dict({"weight": weight, "bias": wide.bias.detach() + narrow.bias.detach()})
        return merged


class CSPRepLayer(nn.Module):
    """A cross-stage partial layer of RepVGG blocks; the two paths are added."""

    def __init__(self, hidden: int, depth: int) -> None:
        super().__init__()
        self.conv1 = ConvModule(2 * WIDTH, hidden, 1, NORM)
        self.conv2 = ConvModule(2 * WIDTH, hidden, 1, NORM)
        self.bottlenecks = nn.Sequential(*(RepVGGBlock(hidden) for _ in range(depth)))
        self.conv3 = ConvModule(hidden, WIDTH, 1, NORM)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 512, H, W] -> [B, 256, H, W]."""
        out: Tensor = self.conv3(self.bottlenecks(self.conv1(x)) + self.conv2(x))
        return out

    def merge(self) -> None:
        """Make one convolution of each block that is not one yet."""
        blocks = (block.merged() if isinstance(block, RepVGGBlock) else block for block in self.bottlenecks)
        self.bottlenecks = nn.Sequential(*blocks)


class ChannelMapper(nn.Module):
    """A 1x1 convolution for each of the two maps that leave the neck."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ConvModule(WIDTH, outputs, 1, NORM, activation=nn.Identity) for _ in range(2))


class HybridEncoder(nn.Module):
    """A transformer over the coarsest map, then features flow from coarse to fine and back."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        hidden, depth = scale.channels(WIDTH), scale.blocks(3)
        self.input_proj = nn.ModuleList(
            ConvModule(scale.channels(full), WIDTH, 1, NORM, activation=nn.Identity) for full in (256, 512, 1024)
        )
        self.encoder = TransformerLayer()
        self.lateral_convs = nn.ModuleList(ConvModule(WIDTH, WIDTH, 1, NORM) for _ in range(2))
        self.fpn_blocks = nn.ModuleList(CSPRepLayer(hidden, depth) for _ in range(2))
        self.downsample_convs = nn.ModuleList(ConvModule(WIDTH, WIDTH, 3, NORM, stride=2) for _ in range(2))
        self.pan_blocks = nn.ModuleList(CSPRepLayer(hidden, depth) for _ in range(2))
        self.projector = ChannelMapper(scale.channels(512))

    def forward(self, stride8: Tensor, stride16: Tensor, stride32: Tensor) -> tuple[Tensor, Tensor]:
        """The backbone's features -> maps of 512 x width channels at strides 16 and 32."""
        fine, middle, coarse = (proj(x) for proj, x in zip(self.input_proj, (stride8, stride16, stride32), strict=True))
        height, width = coarse.shape[2:]
        places = grid_encoding(height, width, WIDTH, _TEMPERATURE, coarse.device).to(coarse.dtype)
        tokens = self.encoder(coarse.flatten(2).transpose(1, 2), places)
        coarse = self.lateral_convs[0](tokens.transpose(1, 2).unflatten(2, (height, width)))
        middle = self.lateral_convs[1](self.fpn_blocks[0](torch.cat([_upsample(coarse), middle], dim=1)))
        fine = self.fpn_blocks[1](torch.cat([_upsample(middle), fine], dim=1))
        out16 = self.pan_blocks[0](torch.cat([self.downsample_convs[0](fine), middle], dim=1))
        out32 = self.pan_blocks[1](torch.cat([self.downsample_convs[1](out16), coarse], dim=1))
        return self.projector.convs[0](out16), self.projector.convs[1](out32)

    def merge(self) -> None:
        """Make one convolution of each RepVGG block."""
        for layer in (*self.fpn_blocks, *self.pan_blocks):
            assert isinstance(layer, CSPRepLayer)
            layer.merge()


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
