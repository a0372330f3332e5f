"""Masks by dynamic convolutions: every person brings a small network of its own, run inside its box alone.

Tian et al., "Conditional Convolutions for Instance Segmentation", 2020, in the form of RTMDet-Ins (Lyu et al., 2022):
three 1x1 convolutions with ReLU between them, over the prototypes and the place relative to the person's anchor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.segment.roi import windows
from models.tasks import Float, Window

PROTOTYPES = 8
"""Maps that the masks are made of."""

STRIDE = 8
"""Pixels of the network's input per cell of a prototype."""

_WEIGHTS = ((PROTOTYPES, 2 + PROTOTYPES), (PROTOTYPES, PROTOTYPES), (1, PROTOTYPES))
_SIZES = [rows * columns for rows, columns in _WEIGHTS] + [rows for rows, _ in _WEIGHTS]
_ENDS = np.cumsum(_SIZES)

PARAMETERS = sum(_SIZES)
"""Numbers that one person's network consists of: the three weights, then the three biases."""

_REACH = 8
"""The relative place is measured in this many strides of the anchor."""


@dataclass(frozen=True, slots=True, eq=False)
class DynamicMasks:
    """The masks of the persons in one image, made when it is called.

    A mask is where the person's network says above 0, cut to the person's box. The map is enlarged twice, linearly: to
    the pixels of the network's input, and from these to those of the image, as RTMDet-Ins was evaluated.

    Attributes:
        kernels: float32 [N, 169], of the persons.
        points: float32 [N, 2], x and y of their anchors, pixels of the network's input.
        strides: float32 [N, 1], of their anchors.
        prototypes: float32 [8, h, w].
        xyxy: float32 [N, 4], their boxes, pixels of the image.
        scale: pixels of the network's input per pixel of the image.
        size: height and width of the image, pixels.
    """

    kernels: Float
    points: Float
    strides: Float
    prototypes: Float
    xyxy: Float
    scale: float
    size: tuple[int, int]

    def __call__(self) -> list[Window | None]:
        """N windows; None for a person in whose box no pixel of the image lies."""
        height, width = self.size
        return [self._mask(person, *edges) for person, edges in enumerate(windows(self.xyxy, width, height).tolist())]

    def _mask(self, person: int, left: int, top: int, right: int, bottom: int) -> Window | None:
        if right <= left or bottom <= top:
            return None
        _, rows, columns = self.prototypes.shape
        first_row, to_rows = _enlarging(top, bottom, self.scale, rows)
        first_column, to_columns = _enlarging(left, right, self.scale, columns)
        logits = self._logits(person, first_row, first_column, to_rows.shape[1], to_columns.shape[1])
        return Window(to_rows @ logits @ to_columns.T > 0, (left, top))

    def _logits(self, person: int, top: int, left: int, height: int, width: int) -> Float:
        """What the person's network says of these cells: float32 [height, width]."""
        rows, columns = np.mgrid[top : top + height, left : left + width]
        cells = np.stack([columns.ravel(), rows.ravel()]).astype(np.float32) * STRIDE
        relative = (self.points[person][:, None] - cells) / (self.strides[person] * _REACH)
        prototypes = self.prototypes[:, top : top + height, left : left + width].reshape(PROTOTYPES, -1)
        x = np.concatenate([relative, prototypes])
        *numbers, _ = np.split(self.kernels[person], _ENDS)
        for number, (shape, weights, biases) in enumerate(zip(_WEIGHTS, numbers[:3], numbers[3:], strict=True)):
            x = weights.reshape(shape) @ (np.maximum(x, 0) if number else x) + biases[:, None]
        logits: Float = x.reshape(height, width)
        return logits


def _enlarging(first: int, last: int, scale: float, cells: int) -> tuple[int, Float]:
    """How the pixels first..last of one axis of the image are mixed from the cells of a map.

    Args:
        first, last: the pixels, the latter exclusive.
        scale: pixels of the network's input per pixel of the image.
        cells: of the map along this axis.

    Returns:
        The first cell that matters, and weights, float32 [last - first, cells that matter].
    """
    places = np.clip((np.arange(first, last) + 0.5) * scale - 0.5, 0, STRIDE * cells - 1)
    low = np.floor(places)
    high = np.minimum(low + 1, STRIDE * cells - 1)
    share = (places - low)[:, None]
    below, above = (np.clip((pixel + 0.5) / STRIDE - 0.5, 0, cells - 1) for pixel in (low, high))
    wanted = np.arange(np.floor(below[0]), np.ceil(above[-1]) + 1)

    near, far = (np.maximum(0, 1 - np.abs(at[:, None] - wanted)) for at in (below, above))
    weights = (1 - share) * near + share * far
    return int(wanted[0]), weights.astype(np.float32)
