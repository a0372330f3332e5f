"""What comes before and after the networks on the GPU: the same numbers as on the processor, and how fast."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.gpu.ceilings import seconds
from benchmarks.gpu.outcome import FailedError, Figures, Setting
from models.backends.pictures import pictures
from models.detect.letterbox import letterbox
from models.detect.nms import nms
from models.device import letterbox as on_device_letterbox
from models.device import nms as on_device_nms
from models.device import simcc as on_device_simcc
from models.device.atlas import Atlas
from models.device.crops import cut
from models.device.image import nv12_to_bgr
from models.pose import simcc
from models.pose.crops import Crops

LIMITS = {"nv12_grey_levels": 0, "letterbox_grey_levels": 1, "crops_grey_levels": 1, "simcc": 0, "nms": 0}
"""How far each may be off: OpenCV rounds in fixed point, everything else is exact."""

SIZE, CROP = (480, 640), (256, 192)


def on_gpu(_: Setting) -> Figures:
    """How far the functions on the GPU are from those on the processor, and their times."""
    return checked(torch.device("cuda"))


def checked(device: torch.device, size: tuple[int, int] = (1080, 1920), count: int = 32) -> Figures:
    """The figures on any device; times are those of `count` pictures of `size` (height, width).

    Raises:
        FailedError: one of them is beyond `LIMITS`.
    """
    figures = {**parity(device), **times(device, size, count)}
    beyond = [name for name, limit in LIMITS.items() if figures[name] > limit]
    if beyond:
        said = ", ".join(f"{name} {figures[name]:g} (allowed: {LIMITS[name]})" for name in beyond)
        raise FailedError(f"not as on the processor: {said}", figures)
    return figures


def parity(device: torch.device) -> Figures:
    """The largest differences to the functions on arrays; for decoding, how many rows are others."""
    random = np.random.default_rng(0)
    images = [*pictures(2, 720, 1280), *pictures(1, 300, 500)]
    atlas = Atlas.of(images, device)
    boxes = _boxes(random, 24, (300, 500))
    crops, owners = Crops.around(boxes, CROP, 1.25), np.arange(24) % 3
    x, y = (random.random((8, 17, 2 * side), np.float32) for side in CROP[::-1])
    points, scores = simcc.decode(x, y)
    decoded = on_device_simcc.decode(*(torch.from_numpy(bins).to(device) for bins in (x, y))).cpu().numpy()
    return {
        "nv12_grey_levels": _nv12(random, device),
        "letterbox_grey_levels": _apart(on_device_letterbox.letterbox(atlas, SIZE)[0], letterbox(images, SIZE)[0]),
        "crops_grey_levels": _apart(cut(atlas, owners, crops), crops.cut([images[owner] for owner in owners])),
        "simcc": int((decoded != np.dstack([points, scores])).any(axis=2).sum()),
        "nms": _nms(random, device),
    }


def times(device: torch.device, size: tuple[int, int], count: int) -> Figures:
    """Milliseconds on the device for `count` pictures of `size`, and for twice as many crops of them."""
    height, width = size
    luma = torch.randint(16, 235, size, dtype=torch.uint8, device=device)
    chroma = torch.randint(16, 240, (height // 2, width // 2, 2), dtype=torch.uint8, device=device)
    pixels = nv12_to_bgr(luma, chroma, "bt709", full_range=False).reshape(-1, 3)
    atlas = Atlas(pixels.repeat(count, 1), (size,) * count, tuple(range(0, count * height * width, height * width)))
    crops = Crops.around(_boxes(np.random.default_rng(0), 2 * count, size), CROP, 1.25)
    owners = np.arange(2 * count) % count
    to_bgr = seconds(lambda: nv12_to_bgr(luma, chroma, "bt709", full_range=False), device)
    return {
        "pictures": count,
        "nv12_ms": round(1e3 * count * to_bgr, 3),
        "letterbox_ms": round(1e3 * seconds(lambda: on_device_letterbox.letterbox(atlas, SIZE), device), 3),
        "crops_ms": round(1e3 * seconds(lambda: cut(atlas, owners, crops), device), 3),
    }


def _nv12(random: np.random.Generator, device: torch.device) -> int:
    luma = torch.from_numpy(random.integers(0, 256, (96, 128), np.uint8))
    chroma = torch.from_numpy(random.integers(0, 256, (48, 64, 2), np.uint8))
    here = nv12_to_bgr(luma, chroma, "bt709", full_range=False)
    return _apart(nv12_to_bgr(luma.to(device), chroma.to(device), "bt709", full_range=False), here.numpy())


def _nms(random: np.random.Generator, device: torch.device) -> int:
    """How many of some crowded boxes are kept by one and not by the other."""
    boxes, scores = _boxes(random, 200, (480, 640)), random.random(200, np.float32)
    order = np.argsort(-scores, kind="stable")
    ranked = torch.from_numpy(boxes[order]).to(device)[None]
    valid = torch.ones((1, 200), dtype=torch.bool, device=device)
    too_near = on_device_nms.suppressing(ranked, 0.65)
    kept, settled = on_device_nms.suppress(valid, too_near)
    while not bool(settled.all()):
        kept, settled = on_device_nms.suppress(valid, too_near, kept)
    return len(set(order[kept[0].cpu().numpy()].tolist()) ^ set(nms(boxes, scores, 0.65).tolist()))


def _apart(there: torch.Tensor, here: npt.NDArray[Any]) -> int:
    return int(np.abs(there.cpu().numpy().astype(np.int16) - here).max())


def _boxes(random: np.random.Generator, count: int, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Boxes of people in a picture of (height, width), some of them beyond its border."""
    middle = random.random((count, 2), np.float32) * np.array(size[::-1], np.float32)
    half = (0.05 + 0.2 * random.random((count, 1), np.float32)) * size[0] * np.array([[0.4, 1.0]], np.float32)
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)
