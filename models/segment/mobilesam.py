"""MobileSAM: Segment Anything with a small image encoder (Zhang et al., 2023), for prompts that are boxes."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from models.formats import pth
from models.loading import load_state
from models.segment.sam_decoder import MaskDecoder, PromptEncoder
from models.segment.tiny_vit import ConvNorm, TinyViT
from models.serving import Weights, random_network
from models.tasks import IMAGENET


class MobileSAM(nn.Module):
    """The whole network, 10.1 M parameters, with the names of the published file."""

    pixels: ClassVar = IMAGENET

    def __init__(self) -> None:
        super().__init__()
        self.image_encoder = TinyViT()
        self.prompt_encoder = PromptEncoder()
        self.mask_decoder = MaskDecoder()

    def forward(self, embedding: Tensor, place: Tensor, prompts: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder makes of a part of an embedding, without a mask as a prompt; see `MaskDecoder.forward`."""
        no_mask = self.prompt_encoder.no_mask_embed.weight[..., None, None]
        out: tuple[Tensor, Tensor] = self.mask_decoder(embedding + no_mask, place, prompts)
        return out

    def fuse(self) -> MobileSAM:
        """Fold every batch-norm into its convolution, in place; returns itself in evaluation mode."""
        for part in self.modules():
            if isinstance(part, ConvNorm):
                part.fuse()
        return self.eval()


def load_mobilesam(weights: Weights) -> MobileSAM:
    """The network with the weights of `mobile_sam.pt`, or of a file with the same tensors.

    Raises:
        CheckpointError: the file does not hold a MobileSAM.
    """
    network = random_network(MobileSAM)
    if weights.path is not None:
        load_state(network, pth.read(weights.path))
    return network
