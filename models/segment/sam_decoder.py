"""The prompt encoder and the mask decoder of Segment Anything (Kirillov et al., 2023, appendix A)."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.segment.tiny_vit import CHANNELS, STRIDE, LayerNorm2d

SIDE = 1024
"""Side of the square that it was trained on, pixels, to which places are relative; no input may be larger."""

MASKS = 4
"""Masks that the decoder can give: one for a clear prompt, and three (whole, part, subpart) for an ambiguous one."""

_HEADS, _BLOCKS, _HIDDEN = 8, 2, 2048


class PositionEmbedding(nn.Module):
    """Random Fourier features of a place (Tancik et al., 2020)."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, CHANNELS // 2))

    def forward(self, points: Tensor) -> Tensor:
        """[..., 2], x and y in 0..1 of the square input -> [..., 256]."""
        angles = 2 * torch.pi * ((2 * points - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], -1)


class PromptEncoder(nn.Module):
    """What a person's box says to the decoder.

    The published file also has embeddings of points and an encoder of masks, prompts that are not used here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pe_layer = PositionEmbedding()
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, CHANNELS) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, CHANNELS)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, 4, 2, stride=2),
            LayerNorm2d(4),
            nn.GELU(),
            nn.Conv2d(4, 16, 2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, CHANNELS, 1),
        )
        self.no_mask_embed = nn.Embedding(1, CHANNELS)

    def forward(self, boxes: Tensor) -> Tensor:
        """Prompts [B, 2, 256], one for each corner of `boxes` [B, 4], in pixels of the encoder's input."""
        corners = torch.cat(list(self.point_embeddings[2:].parameters()))
        out: Tensor = self.pe_layer((boxes.reshape(-1, 2, 2) + 0.5) / SIDE) + corners
        return out

    @torch.no_grad()
    def places(self) -> Tensor:
        """Positions of the cells of the largest embedding, [256, 64, 64]."""
        centres = (torch.arange(SIDE // STRIDE) + 0.5) / (SIDE // STRIDE)
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        places: Tensor = self.pe_layer(torch.stack([x, y], -1))
        return places.permute(2, 0, 1)


class Attention(nn.Module):
    """Attention with eight heads, inside of which there may be fewer channels than outside."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(CHANNELS, hidden)
        self.k_proj = nn.Linear(CHANNELS, hidden)
        self.v_proj = nn.Linear(CHANNELS, hidden)
        self.out_proj = nn.Linear(hidden, CHANNELS)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """[B, queries, 256], [B, keys, 256], [B, keys, 256] -> [B, queries, 256]."""
        q, k, v = _split(self.q_proj(query)), _split(self.k_proj(key)), _split(self.v_proj(value))
        weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        out: Tensor = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return out


def _split(x: Tensor) -> Tensor:
    """[B, tokens, hidden] -> [B, heads, tokens, hidden / heads]."""
    batch, tokens, hidden = x.shape
    return x.reshape(batch, tokens, _HEADS, hidden // _HEADS).transpose(1, 2)


class TwoWayBlock(nn.Module):
    """Tokens look at each other and at the image, then the image looks at the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention(CHANNELS)
        self.norm1 = nn.LayerNorm(CHANNELS)
        self.cross_attn_token_to_image = Attention(CHANNELS // 2)
        self.norm2 = nn.LayerNorm(CHANNELS)
        self.mlp = nn.Sequential(
            OrderedDict(lin1=nn.Linear(CHANNELS, _HIDDEN), act=nn.ReLU(), lin2=nn.Linear(_HIDDEN, CHANNELS))
        )
        self.norm3 = nn.LayerNorm(CHANNELS)
        self.norm4 = nn.LayerNorm(CHANNELS)
        self.cross_attn_image_to_token = Attention(CHANNELS // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, origin: Tensor, place: Tensor, first: bool
    ) -> tuple[Tensor, Tensor]:
        """New tokens and image.

        Args:
            tokens: [B, T, 256].
            image: [B, cells, 256].
            origin: the tokens as they were in the beginning, which are added wherever they are compared.
            place: [B, cells, 256], positions of the cells.
            first: whether the tokens are still the original ones; they are then replaced, not added to.
        """
        if first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            placed = tokens + origin
            tokens = tokens + self.self_attn(placed, placed, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + origin, image + place, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + place, tokens + origin, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Two blocks, and a last look of the tokens at the image."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock() for _ in range(_BLOCKS))
        self.final_attn_token_to_image = Attention(CHANNELS // 2)
        self.norm_final_attn = nn.LayerNorm(CHANNELS)

    def forward(self, tokens: Tensor, image: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, 256], image and positions [B, cells, 256] -> tokens and image of the same shapes."""
        origin = tokens
        for number, layer in enumerate(self.layers):
            tokens, image = layer(tokens, image, origin, place, number == 0)
        seen = self.final_attn_token_to_image(tokens + origin, image + place, image)
        return self.norm_final_attn(tokens + seen), image


class Perceptron(nn.Module):
    """Three linear maps with ReLU between them."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(CHANNELS, width) for width in (CHANNELS, CHANNELS, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """[..., 256] -> [..., outputs]."""
        first, second, last = self.layers
        out: Tensor = last(F.relu(second(F.relu(first(x)))))
        return out


class MaskDecoder(nn.Module):
    """One mask for every prompt, and how well the decoder thinks that it fits."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer()
        self.iou_token = nn.Embedding(1, CHANNELS)
        self.mask_tokens = nn.Embedding(MASKS, CHANNELS)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(CHANNELS, CHANNELS // 4, 2, stride=2),
            LayerNorm2d(CHANNELS // 4),
            nn.GELU(),
            nn.ConvTranspose2d(CHANNELS // 4, CHANNELS // 8, 2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron(CHANNELS // 8) for _ in range(MASKS))
        self.iou_prediction_head = Perceptron(MASKS)

    def forward(self, embedding: Tensor, place: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """The first of the four masks, the one for clear prompts such as boxes.

        Args:
            embedding, place: [B, 256, h, w], of the part of the image that is to be looked at, and its positions.
            prompts: [B, P, 256].

        Returns:
            Logits [B, 1, 4h, 4w] and the expected intersection over union [B, 1].
        """
        height, width = embedding.shape[2:]
        own = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        tokens = torch.cat([own.expand(embedding.shape[0], -1, -1), prompts], 1)
        cells, places = embedding.flatten(2).transpose(1, 2), place.flatten(2).transpose(1, 2)
        tokens, cells = self.transformer(tokens, cells, places)
        features = self.output_upscaling(cells.transpose(1, 2).reshape(-1, CHANNELS, height, width))
        weights = self.output_hypernetworks_mlps[0](tokens[:, 1])
        logits = (weights[:, None] @ features.flatten(2)).reshape(-1, 1, 4 * height, 4 * width)
        return logits, self.iou_prediction_head(tokens[:, 0])[:, :1]
