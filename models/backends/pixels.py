"""From camera pixels to what a network was trained on, inside the compiled graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tasks import PixelFormat


class FromPixels(nn.Module):
    """A network behind its own normalisation: uint8 [B, H, W, 3] BGR in, a tuple of outputs out.

    Doing it in the graph keeps the batch a quarter of the size on its way in, and lets the compiler fuse it. It is done
    in float32 whatever the network computes in.
    """

    def __init__(self, network: nn.Module, pixels: PixelFormat) -> None:
        super().__init__()
        self.network = network
        self.pixels = pixels

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the network for `pixels`, uint8 [B, H, W, 3]."""
        images = pixels.permute(0, 3, 1, 2).float()
        if self.pixels.rgb:
            images = images.flip(1)
        mean = torch.tensor(self.pixels.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.pixels.std, device=pixels.device).view(1, 3, 1, 1)
        images = ((images - mean) / std).to(next(self.network.parameters()).dtype)
        outputs = self.network(images)
        return outputs if isinstance(outputs, tuple) else (outputs,)
