"""From the places of keypoints to people: greedy decoding over the tree (Papandreou et al., 2018, section 3.1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from models.joint.decoding import RADIUS, REFINEMENTS, move
from models.joint.personlab import EDGES
from models.tasks import Float

DIRECTED = (*EDGES, *((end, start) for start, end in EDGES))
"""The edges in both directions, in the order of the mid offsets."""

LEAST = 5
"""Keypoints that make a person."""

_SAME = 10.0
"""Pixels within which a keypoint is taken for one that a person has already."""

_Peak = tuple[int, int]
"""A keypoint, and the number of one of its peaks."""


def group(peaks: Float, mid: Tensor, short: Tensor, stride: int) -> Float:
    """People of the peaks that the mid offsets connect.

    The highest peak begins a person, unless somebody has the same keypoint within 10 pixels: then it is dropped. From
    there the tree is followed: of the peaks that are left, the nearest one within 32 pixels of where the mid
    offset points to is the next keypoint. Then comes the highest of the peaks that are left.

    Args:
        peaks: float32 [17, P, 3], of each keypoint x, y and score, 0 for no peak.
        mid: offsets [32, 2, h, w]. short: offsets [17, 2, h, w], which refine them.
        stride: pixels per cell.

    Returns:
        float32 [N, 17, 3], x, y and score, 0 for a keypoint that was not found; the highest sum of scores first.
    """
    nexts = _nexts(peaks, mid, short, stride)
    used: set[_Peak] = set()
    people = np.zeros((np.count_nonzero(peaks[..., 2]), *peaks.shape[::2]), np.float32)
    count = 0
    for begin in _by_score(peaks[..., 2]):
        if begin in used:
            continue
        keypoint = begin[0]
        same = people[:count, keypoint]
        away = np.hypot(*(same[:, :2] - peaks[begin][:2]).T)
        if ((away <= _SAME) & (same[:, 2] > 0)).any():
            used.add(begin)
            continue
        for peak in _follow(begin, nexts, used):
            people[count, peak[0]] = peaks[peak]
        count += 1
    people = people[:count][(people[:count, :, 2] > 0).sum(1) >= LEAST]
    found: Float = people[np.argsort(-people[..., 2].sum(1), kind="stable")]
    return found


def _by_score(scores: Float) -> Iterator[_Peak]:
    """The peaks with their scores [17, P], highest first."""
    order = np.argsort(-scores, axis=None, kind="stable")[: np.count_nonzero(scores)]
    keypoints, numbers = np.unravel_index(order, scores.shape)
    return zip(keypoints.tolist(), numbers.tolist(), strict=True)


def _follow(begin: _Peak, nexts: Mapping[_Peak, list[_Peak]], used: set[_Peak]) -> Iterator[_Peak]:
    """The peaks of one person, breadth first over the tree; marks them as used."""
    seen, row = {begin[0]}, [begin]
    for peak in row:
        used.add(peak)
        yield peak
        for candidate in nexts.get(peak, ()):
            if candidate[0] not in seen and candidate not in used:
                seen.add(candidate[0])
                row.append(candidate)


def _nexts(peaks: Float, mid: Tensor, short: Tensor, stride: int) -> dict[_Peak, list[_Peak]]:
    """Of each peak those that its mid offsets may mean; of each keypoint the nearest first."""
    start, end = (list(ends) for ends in zip(*DIRECTED, strict=True))
    at = torch.from_numpy(peaks[start, :, :2]).transpose(1, 2)
    target = move(move(at, mid, stride, 1), short[end], stride, REFINEMENTS).transpose(1, 2).numpy()
    distance = np.linalg.norm(target[:, :, None] - peaks[end, None, :, :2], axis=-1)
    reached = (distance <= RADIUS) & (peaks[start, :, None, 2] > 0) & (peaks[end, None, :, 2] > 0)
    edges, numbers, others = np.nonzero(reached)
    order = np.argsort(distance[edges, numbers, others], kind="stable")
    nexts: dict[_Peak, list[_Peak]] = {}
    for edge, number, other in zip(edges[order].tolist(), numbers[order].tolist(), others[order].tolist(), strict=True):
        nexts.setdefault((start[edge], number), []).append((end[edge], other))
    return nexts
