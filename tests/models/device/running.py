"""Networks on a device for tests: the processor, eagerly; and a spy on what would make the host wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.device.image import DeviceImage
from models.tasks import Image

CPU = torch.device("cpu")

EXACT = int(cv2.__version__.split(".")[0]) >= 5
"""Whether OpenCV warps exactly, as the device does: older versions cut coordinates to 1/32 of a pixel, and so differ by
up to 7 grey levels between black and white, and in six pixels of 10 000 of a mask."""

Network = Callable[[Any], Tensor | tuple[Any, ...]]


class OnDevice:
    """A `DeviceRunner` of a network, or of a function on arrays; `batches` has the rows of every call."""

    torch_device = CPU

    def __init__(self, network: Network, *, on_arrays: bool = False) -> None:
        self._network = network
        self._on_arrays = on_arrays
        self.batches: list[int] = []

    def tensors(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (pixels,) = inputs
        assert pixels.dtype == torch.uint8
        self.batches.append(len(pixels))
        if self._on_arrays:
            return tuple(torch.from_numpy(np.asarray(output)) for output in self._network(pixels.numpy()))
        outputs = self._network(pixels)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    @torch.inference_mode()
    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]:
        (pixels,) = inputs
        return tuple(output.numpy() for output in self.tensors(torch.from_numpy(np.ascontiguousarray(pixels))))


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every operation that on an accelerator would make the host wait for the device."""

    _WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique")

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.noted: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).split(".")[1]
        masks = name.startswith("index") and any(
            isinstance(index, Tensor) and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        uneven = name == "repeat_interleave" and isinstance(args[-1], Tensor)
        unsized = uneven and (kwargs or {}).get("output_size") is None
        if name.startswith(self._WAITING) or masks or unsized:
            self.noted.append(name)
        return func(*args, **(kwargs or {}))


def nv12_of(luma: Image, chroma: Image) -> DeviceImage:
    """BT.601 in limited range, of uint8 [H, W] and [H / 2, W / 2, 2]."""
    return DeviceImage(torch.from_numpy(luma), torch.from_numpy(chroma), "bt601", False)


def street(height: int, width: int, seed: int = 0) -> DeviceImage:
    """A smooth picture on the device."""
    random = np.random.default_rng(seed)
    luma, chroma = random.integers(16, 236, (9, 16), np.uint8), random.integers(90, 166, (5, 8, 2), np.uint8)
    grow = torch.nn.functional.interpolate

    def grown(coarse: Image, size: tuple[int, int]) -> Image:
        planes = torch.from_numpy(coarse).view(*coarse.shape[:2], -1).permute(2, 0, 1)[None].float()
        image: Image = grow(planes, size, mode="bicubic").clamp(0, 255).byte()[0].permute(1, 2, 0).numpy()
        return np.ascontiguousarray(image.reshape(*size, *coarse.shape[2:]))

    return nv12_of(grown(luma, (height, width)), grown(chroma, (-(-height // 2), -(-width // 2))))
