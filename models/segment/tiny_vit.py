"""TinyViT, MobileSAM's image encoder: pictures in, embeddings at a sixteenth of the resolution out.

Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", 2022, in the size of five million
parameters and with the changes of Zhang et al., "Faster Segment Anything: Towards Lightweight SAM for Mobile
Applications", 2023: the last stage keeps the resolution, and two convolutions bring its output to SAM's width.
Attention looks at windows alone, so pictures may have any size, though the weights were trained on squares.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 16
"""Pixels of the picture per cell of the embedding, in both directions."""

CHANNELS = 256
"""Of the embedding."""

_HEAD_WIDTH = 32
"""Channels of one attention head, at every stage."""


class Stage(NamedTuple):
    """`depth` blocks that look at windows of `window` x `window` cells; the first stage has convolutions instead."""

    channels: int
    depth: int
    window: int
    stride: int


STAGES = (Stage(64, 2, 0, 4), Stage(128, 2, 7, 2), Stage(160, 6, 14, 2), Stage(320, 2, 7, 1))
"""Of the published network; the strides are those on the way into each stage."""


class ConvNorm(nn.Module):
    """A convolution that keeps the size (divided by the stride), then batch-norm, which `fuse` folds into it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out: Tensor = self.bn(self.c(x))
        return out

    def fuse(self) -> None:
        """Fold the batch-norm, in its evaluation form, into the convolution."""
        if isinstance(self.bn, nn.BatchNorm2d):
            self.c = fuse_conv_bn_eval(self.c.eval(), self.bn.eval())
            self.bn = nn.Identity()


class LayerNorm2d(nn.LayerNorm):
    """Layer-norm over the channels of every cell."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class MBConv(nn.Module):
    """Inverted residual (Sandler et al., 2018) with GELU, also after the sum; expands the channels by four."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = 4 * channels
        self.conv1 = ConvNorm(channels, hidden, 1)
        self.conv2 = ConvNorm(hidden, hidden, 3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        return F.gelu(x + self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x))))))


class PatchMerging(nn.Module):
    """The way into the next stage."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs, 1)
        self.conv2 = ConvNorm(outputs, outputs, 3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H / stride, W / stride]."""
        out: Tensor = self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))
        return out


class WindowAttention(nn.Module):
    """Every cell of a window looks at all of them, with a learned bias for each distance |dy|, |dx|."""

    indices: Tensor

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.heads = channels // _HEAD_WIDTH
        self.attention_biases = nn.Parameter(torch.zeros(self.heads, window * window))
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        y, x = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
        y, x = y.flatten(), x.flatten()
        indices = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.register_buffer("indices", indices, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[B, H, W, channels] -> the same shape; cells of zeros fill up the windows at the right and the bottom."""
        _, height, width, channels = x.shape
        size = self.window
        x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
        rows, columns = x.shape[1] // size, x.shape[2] // size
        x = x.reshape(-1, rows, size, columns, size, channels).transpose(2, 3)
        x = self._attend(x.reshape(-1, size * size, channels))
        x = x.reshape(-1, rows, columns, size, size, channels).transpose(2, 3)
        return x.reshape(-1, rows * size, columns * size, channels)[:, :height, :width]

    def _attend(self, x: Tensor) -> Tensor:
        """Windows [N, cells, channels] -> the same shape."""
        cells, channels = x.shape[1:]
        heads = self.qkv(self.norm(x)).reshape(-1, cells, self.heads, 3 * _HEAD_WIDTH).transpose(1, 2)
        query, key, value = heads.split(_HEAD_WIDTH, dim=-1)
        logits = query @ key.transpose(-2, -1) * _HEAD_WIDTH**-0.5 + self.attention_biases[:, self.indices]
        out: Tensor = self.proj((logits.softmax(-1) @ value).transpose(1, 2).reshape(-1, cells, channels))
        return out


class MLP(nn.Module):
    """Two linear maps around a GELU, behind a layer-norm; the hidden width is four times the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[..., channels] -> the same shape."""
        out: Tensor = self.fc2(F.gelu(self.fc1(self.norm(x))))
        return out


class TinyViTBlock(nn.Module):
    """Attention in windows, a depthwise convolution that joins them, and a perceptron for every cell."""

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(channels, window)
        self.mlp = MLP(channels)
        self.local_conv = ConvNorm(channels, channels, 3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W] -> the same shape."""
        cells = x.permute(0, 2, 3, 1)
        cells = cells + self.attn(cells)
        cells = self.local_conv(cells.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = (cells + self.mlp(cells)).permute(0, 3, 1, 2)
        return out


class _Layer(nn.Module):
    """The blocks of one stage, and the way into the next one; the last stage has none."""

    def __init__(self, stage: Stage, after: Stage | None) -> None:
        super().__init__()
        channels, depth, window, _ = stage
        self.blocks = nn.Sequential(
            *(TinyViTBlock(channels, window) if window else MBConv(channels) for _ in range(depth))
        )
        self.downsample = PatchMerging(channels, after.channels, after.stride) if after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.downsample(self.blocks(x))
        return out


class TinyViT(nn.Module):
    """The encoder.

    `norm_head` and `head`, which told classes of ImageNet apart before the encoder learned to see like SAM's, are in
    the published file and do nothing here.
    """

    def __init__(self) -> None:
        super().__init__()
        first, last = STAGES[0].channels, STAGES[-1].channels
        stem = nn.Sequential(ConvNorm(3, first // 2, 3, stride=2), nn.GELU(), ConvNorm(first // 2, first, 3, stride=2))
        self.patch_embed = nn.Sequential(OrderedDict(seq=stem))
        self.layers = nn.Sequential(*map(_Layer, STAGES, (*STAGES[1:], None)))
        self.norm_head = nn.LayerNorm(last)
        self.head = nn.Linear(last, 1000)
        self.neck = nn.Sequential(
            nn.Conv2d(last, CHANNELS, 1, bias=False),
            LayerNorm2d(CHANNELS),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(CHANNELS),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings [B, 256, H / 16, W / 16] of `images` [B, 3, H, W], normalised RGB; H, W multiples of 16."""
        out: Tensor = self.neck(self.layers(self.patch_embed(images)))
        return out
