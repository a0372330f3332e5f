"""Decoded pictures that stay on the device, as hardware decoders give them: NV12."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.device.transfer import download

Matrix = Literal["bt601", "bt709"]

_LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
"""Shares of red and of blue in luma (ITU-R BT.601-7, section 2.5.1; BT.709-6, item 3.2)."""


@dataclass(frozen=True, eq=False)
class DeviceImage:
    """A picture on a device. What wants an array gets one by `np.asarray`, at the price of a copy to the host.

    Its planes are read in the order of the current stream: whoever makes it sees to it that they are written by then.

    Attributes:
        luma: uint8 [H, W].
        chroma: uint8 [ceil(H / 2), ceil(W / 2), 2], blue and red difference of every two by two pixels.
        matrix: the colour matrix.
        full_range: whether luma and chroma use 0..255; else luma 16..235 and chroma 16..240.
    """

    luma: Tensor
    chroma: Tensor
    matrix: Matrix
    full_range: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """As of an array of BGR pixels: (H, W, 3)."""
        height, width = self.luma.shape
        return height, width, 3

    def bgr(self) -> Tensor:
        """Its pixels, uint8 [H, W, 3] on its device, made at the first call and kept; nobody waits for them."""
        return self._bgr

    @cached_property
    def _bgr(self) -> Tensor:
        return nv12_to_bgr(self.luma, self.chroma, self.matrix, full_range=self.full_range)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Its pixels on the host, uint8 [H, W, 3] BGR; waits for the device."""
        if copy is False:
            raise ValueError("a picture on a device has no array without a copy")
        return np.array(self._host, dtype)

    @cached_property
    def _host(self) -> npt.NDArray[np.uint8]:
        (pixels,) = download(self.bgr())
        pixels.setflags(write=False)  # everybody who asks is given a copy of it
        return pixels


def nv12_to_bgr(luma: Tensor, chroma: Tensor, matrix: Matrix, *, full_range: bool) -> Tensor:
    """Pixels of a picture in NV12, the very ones that FFmpeg makes of it on x86-64 when it decodes in software.

    Those are YUV 4:2:0 in three planes, whose chroma swscale repeats for all four pixels and whose products it cuts
    off at 16 bits: up to 3 grey levels darker than exact arithmetic. Copying that, and not the better conversion, makes
    a stream look the same to a network wherever it is decoded. (Of NV12 itself swscale makes other pixels: it mixes in
    the chroma of the row above. On 20 photographs of COCO they differ by 0.9 grey levels in the mean, 10 at p99.)

    Args:
        luma: uint8 [H, W]. chroma: uint8 [ceil(H / 2), ceil(W / 2), 2]. Rows may be padded (strided).
        matrix, full_range: as in `DeviceImage`.

    Returns:
        uint8 [H, W, 3], on the same device; nothing waits for it.
    """
    height, width = luma.shape
    gain, (red, green_red, green_blue, blue) = _factors(matrix, full_range)
    light = (luma.int() * 8 - (0 if full_range else 16 * 8)) * gain >> 16
    blueness, redness = (chroma.int() * 8 - 128 * 8).unbind(2)
    tint = torch.stack(
        [
            blueness * blue >> 16,
            (blueness * green_blue >> 16) + (redness * green_red >> 16),
            redness * red >> 16,
        ],
        dim=2,
    )
    per_pixel = tint.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)[:height, :width]
    return (light[..., None] + per_pixel).clamp_(0, 255).byte()


def _factors(matrix: Matrix, full_range: bool) -> tuple[int, tuple[int, int, int, int]]:
    """Of luma, and of chroma (red from red, green from red, green from blue, blue from blue), in units of 2^-13."""
    red, blue = _LUMA[matrix]
    green = 1 - red - blue
    per_luma, per_chroma = (1.0, 1.0) if full_range else (255 / 219, 255 / 224)

    def fixed(factor: float) -> int:
        return round(factor * (1 << 16)) + 4 >> 3  # swscale rounds twice: first to 16 bits, then to 13

    chroma = (
        2 * (1 - red),
        -2 * (1 - red) * red / green,
        -2 * (1 - blue) * blue / green,
        2 * (1 - blue),
    )
    of_red, of_green_red, of_green_blue, of_blue = (fixed(factor * per_chroma) for factor in chroma)
    return fixed(per_luma), (of_red, of_green_red, of_green_blue, of_blue)
