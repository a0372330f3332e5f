"""From camera pixels to what a network was trained on, inside the compiled graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tasks import PixelFormat


class Normalise(nn.Module):
    """Pixels, uint8 [B, H, W, 3] BGR, as `wanted` says: float32 [B, 3, H, W]."""

    def __init__(self, wanted: PixelFormat) -> None:
        super().__init__()
        self.rgb = wanted.rgb
        self.mean = nn.Buffer(torch.tensor(wanted.mean).view(1, 3, 1, 1), persistent=False)
        self.std = nn.Buffer(torch.tensor(wanted.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """See the class."""
        images = pixels.float().permute(0, 3, 1, 2)  # float first: TensorRT can do nothing else with bytes
        if self.rgb:
            images = images.flip(1)
        out: Tensor = (images - self.mean) / self.std
        return out


class FromPixels(nn.Module):
    """A network behind its own normalisation: uint8 [B, H, W, 3] BGR in, a tuple of outputs out.

    Doing it in the graph keeps the batch a quarter of the size on its way in, and lets the compiler fuse it. It is done
    in float32 whatever the network computes in. What else a network takes is handed on to it as it is.
    """

    keep_float32 = ("normalise",)

    def __init__(self, network: nn.Module, pixels: PixelFormat) -> None:
        super().__init__()
        self.normalise = Normalise(pixels)
        self.network = network

    def forward(self, pixels: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the network for `pixels`, uint8 [B, H, W, 3], and its other inputs."""
        images = self.normalise(pixels)
        outputs = self.network(images.to(next(self.network.parameters()).dtype), *others)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def normalised(pixels: Tensor, wanted: PixelFormat) -> Tensor:
    """`pixels`, uint8 [B, H, W, 3] BGR, as `wanted` says: float32 [B, 3, H, W]."""
    out: Tensor = Normalise(wanted).to(pixels.device)(pixels)
    return out
