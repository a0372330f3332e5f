"""Images of any sizes in one tensor, so that one gather reads from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from models.device.image import DeviceImage
from models.device.transfer import upload
from models.tasks import Image

AnyImage: TypeAlias = Image | DeviceImage
"""uint8 [H, W, 3] BGR on the host, or a picture on a device."""


@dataclass(frozen=True, slots=True, eq=False)
class Atlas:
    """The pixels of B images, one image after the other.

    Attributes:
        pixels: uint8 [P, 3], BGR, row by row.
        sizes: of each image height and width. starts: of each image the number of its first pixel.
    """

    pixels: Tensor
    sizes: tuple[tuple[int, int], ...]
    starts: tuple[int, ...]

    @staticmethod
    def of(images: Sequence[AnyImage], device: torch.device) -> Atlas:
        """The pixels of `images` on `device`: arrays through pinned memory, others where they are; nobody waits."""
        sizes = tuple((image.shape[0], image.shape[1]) for image in images)
        starts = tuple(accumulate((height * width for height, width in sizes), initial=0))
        pixels = torch.empty((starts[-1], 3), dtype=torch.uint8, device=device)
        for image, first, end in zip(images, starts, starts[1:], strict=False):
            there = image.bgr() if isinstance(image, DeviceImage) else upload(np.asarray(image, np.uint8), device)
            pixels[first:end].copy_(there.reshape(-1, 3), non_blocking=True)
        return Atlas(pixels, sizes, starts[:-1])

    def image(self, number: int) -> Tensor:
        """The pixels of one image, uint8 [H, W, 3]: a view."""
        (height, width), first = self.sizes[number], self.starts[number]
        return self.pixels[first : first + height * width].view(height, width, 3)

    def __len__(self) -> int:
        return len(self.sizes)
