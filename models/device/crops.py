"""The pixels of many people from several images at once: what `models.pose.crops` and `models.segment.roi` cut."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.device.atlas import Atlas
from models.device.sampling import bilinear, bordered, mirrored
from models.device.transfer import upload
from models.pose.crops import Crops

Double = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.intp]


def cut(atlas: Atlas, owners: Numbers, crops: Crops) -> Tensor:
    """The pixels of upright crops, uint8 [N, height, width, 3]; black where a crop reaches beyond its image.

    Args:
        atlas: the images. owners: [N], of each crop the number of its image.
        crops: where they lie; see `models.pose.crops.Crops.cut` for the same on arrays, and `models.device.sampling`
            for how near to it.

    Nothing waits for the device.
    """
    device = atlas.pixels.device
    height, width = crops.size
    origin_x, origin_y, pitch = _columns(np.column_stack([crops.origins, crops.pitches]).astype(np.float32), device)
    x = origin_x + pitch * torch.arange(width, device=device)
    y = origin_y + pitch * torch.arange(height, device=device)[:, None]
    first, rows, columns = _columns(_places(atlas, owners), device)
    read = bordered(atlas.pixels, first, columns, rows, 0.0)
    return bilinear(read, x, y).round_().byte()


def cut_regions(atlas: Atlas, owners: Numbers, regions: Double, size: int) -> Tensor:
    """The pixels of turned squares, uint8 [N, size, size, 3], mirrored beyond the border of their image.

    Args:
        atlas: the images. owners: [N], of each region the number of its image.
        regions: float64 [N, 2, 3], as from `models.segment.roi.regions`; see `models.segment.roi.cut` for the same on
            arrays.
        size: height and width of every square, pixels.

    Nothing waits for the device.
    """
    device = atlas.pixels.device
    places = _places(atlas, owners)
    seen = seen_parts(regions, size, places[:, 2], places[:, 1])
    first, _, columns, *bounds = _columns(np.column_stack([places, seen]), device)
    # Coordinates are counted from the part that is seen: small numbers keep their fractions in single precision.
    shifted = regions - np.concatenate([np.zeros((len(seen), 2, 2)), seen[:, :2, None]], axis=2)
    xx, xy, x0, yx, yy, y0 = _columns(shifted.reshape(-1, 6).astype(np.float32), device)
    steps = torch.arange(size, device=device)
    column, row = steps, steps[:, None]
    left, top, right, bottom = bounds
    corner = first + top * columns + left
    read = mirrored(atlas.pixels, corner, columns, (left - left, top - top, right - left, bottom - top))
    return bilinear(read, xx * column + xy * row + x0, yx * column + yy * row + y0).round_().byte()


def seen_parts(regions: Double, size: int, widths: Numbers, heights: Numbers) -> Numbers:
    """The smallest parts of the images that hold what the regions show of them, at least one pixel each.

    Args:
        regions: float64 [N, 2, 3], crop to image. size: height and width of the crops, pixels.
        widths, heights: [N], of the images.

    Returns:
        [N, 4], left, top, right, bottom (the latter two exclusive).
    """
    last = size - 1
    corners = regions @ np.array([(0, last, 0, last), (0, 0, last, last), (1, 1, 1, 1)], np.float64)
    sides = np.stack([widths, heights], axis=1)
    low = np.clip(np.floor(corners.min(axis=2)), 0, sides - 1)
    high = np.clip(np.ceil(corners.max(axis=2)) + 1, low + 1, sides)
    return np.concatenate([low, high], axis=1).astype(np.intp)


def _places(atlas: Atlas, owners: Numbers) -> Numbers:
    """Of each owner the first pixel, the height and the width of its image: [N, 3]."""
    of_images = np.column_stack([np.array(atlas.starts, np.intp), np.array(atlas.sizes, np.intp).reshape(-1, 2)])
    places: Numbers = of_images[owners]
    return places


def _columns(table: npt.NDArray[np.float32] | Numbers, device: torch.device) -> tuple[Tensor, ...]:
    """The columns of a table [N, k] as k tensors [N, 1, 1], which broadcast over pixels."""
    return tuple(upload(table, device)[:, :, None, None].unbind(1))
