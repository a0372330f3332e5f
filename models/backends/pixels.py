"""From camera pixels to what a network was trained on, inside the compiled graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tasks import PixelFormat


class FromPixels(nn.Module):
    """A network behind its own normalisation: uint8 [B, H, W, 3] BGR in, a tuple of outputs out.

    Doing it in the graph keeps the batch a quarter of the size on its way in, and lets the compiler fuse it. It is done
    in float32 whatever the network computes in. What else a network takes is handed on to it as it is.
    """

    def __init__(self, network: nn.Module, pixels: PixelFormat) -> None:
        super().__init__()
        self.network = network
        self.pixels = pixels

    def forward(self, pixels: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the network for `pixels`, uint8 [B, H, W, 3], and its other inputs."""
        images = normalised(pixels, self.pixels)
        outputs = self.network(images.to(next(self.network.parameters()).dtype), *others)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def normalised(pixels: Tensor, wanted: PixelFormat) -> Tensor:
    """`pixels`, uint8 [B, H, W, 3] BGR, as `wanted` says: float32 [B, 3, H, W]."""
    images = pixels.permute(0, 3, 1, 2).float()
    if wanted.rgb:
        images = images.flip(1)
    mean = torch.tensor(wanted.mean, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(wanted.std, device=pixels.device).view(1, 3, 1, 1)
    return (images - mean) / std
