"""People, and the maps that a well-trained PersonLab would give of them; the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Array: TypeAlias = npt.NDArray[Any]

RADIUS = 32
EDGES = (
    (0, 14), (0, 13), (0, 4), (0, 1), (14, 16), (13, 15), (4, 10), (1, 7),
    (10, 11), (7, 8), (11, 12), (8, 9), (4, 5), (1, 2), (5, 6), (2, 3),
)  # fmt: skip
BODY = np.array(
    [
        [0.50, 0.08], [0.32, 0.22], [0.24, 0.36], [0.22, 0.50], [0.68, 0.22], [0.76, 0.36], [0.78, 0.50],
        [0.38, 0.52], [0.37, 0.74], [0.36, 0.95], [0.62, 0.52], [0.63, 0.74], [0.64, 0.95],
        [0.44, 0.05], [0.56, 0.05], [0.38, 0.07], [0.62, 0.07],
    ]
)  # fmt: skip
"""Somebody who faces us, in PersonLab's order; x and y as fractions of half the height, and of the height."""

TORSO = ((1, 4), (4, 10), (10, 7), (7, 1), (1, 10), (4, 7))


@dataclass(frozen=True)
class Scene:
    """People in an image, and the maps of it.

    Attributes:
        people: [N, 17, 2], x and y of the keypoints in PersonLab's order.
        labels: int [H, W], whose each pixel is; -1 nobody's.
        maps: heat [17, h, w], short [34, h, w], mid [64, h, w], long [34, h, w], person [1, h, w]; float32.
        stride: pixels per cell.
    """

    people: Array
    labels: Array
    maps: tuple[Array, Array, Array, Array, Array]
    stride: int


def crowd(count: int, size: tuple[int, int] = (401, 401), height: float = 170, seed: int = 0) -> Array:
    """`count` people of about this height, side by side and row by row: [N, 17, 2]."""
    random = np.random.default_rng(seed)
    columns = max(int(np.ceil(np.sqrt(count * 2.5))), 1)
    rows = -(-count // columns)
    people = []
    for number in range(count):
        row, column = divmod(number, columns)
        tall = height * random.uniform(0.9, 1.1)
        middle = np.array([(column + 0.5) * size[1] / columns, (row + 0.5) * size[0] / rows])
        middle += random.uniform(-4, 4, 2)
        people.append(middle + (BODY - 0.5) * [tall / 2, tall] + random.uniform(-2, 2, BODY.shape))
    return np.array(people).reshape(count, 17, 2)


def scene(
    people: Array, size: tuple[int, int] = (401, 401), stride: int = 16, noise: float = 1.0, seed: int = 0
) -> Scene:
    """The maps of `people`, of whom the later ones stand in front; offsets are wrong by `noise` pixels."""
    random = np.random.default_rng(seed)
    labels = _labels(people, size)
    y, x = np.mgrid[: size[0] : stride, : size[1] : stride]
    at = np.stack([x, y], axis=-1).astype(float)
    shape = at.shape[:2]
    heat = np.zeros((17, *shape))
    short, mid = np.zeros((17, 2, *shape)), np.zeros((32, 2, *shape))
    long, person = np.zeros((17, 2, *shape)), np.zeros(shape)
    if len(people):
        for joint in range(17):
            away = np.linalg.norm(at - people[:, joint, None, None], axis=-1)
            owner, near = away.argmin(0), away.min(0)
            heat[joint] = np.where(near <= RADIUS, 0.98 - 0.2 * random.random(shape), 0)
            known = near <= RADIUS + 1.5 * stride
            short[joint] = np.where(known, np.moveaxis(people[owner, joint] - at, -1, 0), 0)
            for edge, (start, end) in enumerate((*EDGES, *((b, a) for a, b in EDGES))):
                if start == joint:
                    mid[edge] = np.where(known, np.moveaxis(people[owner, end] - at, -1, 0), 0)
        whose = _nearest(labels, at)
        long = np.moveaxis(people[whose] - at[:, :, None], (2, 3), (0, 1))
        person = _share(labels >= 0, at, stride)
    offsets = [part + noise * random.standard_normal(part.shape) for part in (short, mid, long)]
    flat = [part.reshape(-1, *shape) for part in offsets]
    maps = tuple(part.astype(np.float32) for part in (heat, *flat, person[None]))
    return Scene(people, labels, maps, stride)  # type: ignore[arg-type]


def _labels(people: Array, size: tuple[int, int]) -> Array:
    labels = np.full(size, -1)
    for number, person in enumerate(people):
        tall = np.ptp(person[:, 1])
        lowest = np.clip((person.min(0) - 0.1 * tall).astype(int), 0, size[::-1])
        highest = np.clip((person.max(0) + 0.1 * tall).astype(int) + 1, 0, size[::-1])
        window = labels[lowest[1] : highest[1], lowest[0] : highest[0]]
        y, x = np.indices(window.shape)
        pixels = np.stack([x, y], axis=-1) + lowest.astype(float)
        for limb in (*EDGES, *TORSO):
            thick = tall * (0.07 if limb in TORSO else 0.05)
            window[_from_segment(pixels, *person[list(limb)]) <= thick] = number
    return labels


def _from_segment(pixels: Array, start: Array, end: Array) -> Array:
    along = end - start
    share = np.clip((pixels - start) @ along / max(along @ along, 1e-9), 0, 1)
    away: Array = np.linalg.norm(pixels - start - share[..., None] * along, axis=-1)
    return away


def _nearest(labels: Array, at: Array) -> Array:
    """The person whose mask is the nearest to each of these places."""
    whose = np.zeros(at.shape[:2], int)
    best = np.full(at.shape[:2], np.inf)
    for number in range(labels.max() + 1):
        rows, columns = np.nonzero(labels == number)
        if len(rows):
            away, _ = cKDTree(np.stack([columns, rows], axis=1)[::7]).query(at)
            whose, best = np.where(away < best, number, whose), np.minimum(away, best)
    return whose


def _share(inside: Array, at: Array, stride: int) -> Array:
    """How much of the square around each of these places is inside."""
    half = stride // 2
    padded = np.pad(inside.astype(float), half, mode="edge")
    sums = np.pad(padded.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    x, y = np.moveaxis(at.astype(int), -1, 0)
    side = 2 * half
    share: Array = (sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]) / side**2
    return share


def _cut() -> Scene:
    """Two people, of whom the left and the lower border of the image cut parts off."""
    people = crowd(2, height=260, seed=8)
    people[0] -= [people[0, :, 0].mean(), 0]
    people[1] += [0, 260]
    return scene(people, seed=8)


GOLDEN = {
    "one": lambda: scene(crowd(1, height=300, seed=1), seed=1),
    "three": lambda: scene(crowd(3, seed=3), seed=3),
    "three at stride 8": lambda: scene(crowd(3, seed=4), stride=8, seed=4),
    "five wide": lambda: scene(crowd(5, (257, 513), seed=5), (257, 513), seed=5),
    "ten": lambda: scene(crowd(10, seed=10), seed=10),
    "cut": _cut,
}
"""The scenes of which the decoding is compared with the original's."""
