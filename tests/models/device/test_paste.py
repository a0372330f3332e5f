from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as rle
from torch import Tensor

from models.device import paste
from models.segment import roi
from models.tasks import Bool, Float
from tests.models.device.running import EXACT, Waits
from tests.models.segment.people import boxes_of, standing

SIDE = 64


def blobs(count: int) -> Float:
    """Logits that look like those of a network: smooth, of both signs."""
    noise = np.random.default_rng(0).standard_normal((count, SIDE, SIDE)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(own, (0, 0), 4) * 40 for own in noise])


def people(shape: tuple[int, int]) -> tuple[roi.Double, np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """Regions and windows of people in and around an image."""
    height, width = shape
    keypoints = np.array(
        [
            standing((x * width, y * height), size * height, degrees)
            for x, y in ((0.5, 0.5), (0, 0.3), (1, 1))
            for size in (0.1, 0.5, 2)
            for degrees in (0, 40, -170)
        ]
    )
    boxes = boxes_of(keypoints)
    return roi.regions(boxes, keypoints, SIDE), roi.windows(boxes, width, height)


def on_host(masks: paste.Masks) -> list[Bool]:
    pixels, totals = masks.edges(len(masks.bits))
    ends = masks.sizes.prod(axis=1).cumsum()
    own = np.split(pixels.numpy()[: totals[-1]].astype(np.int64), totals[:-1].numpy())
    return [
        paste.bitmap(paste.run_lengths(edges, end - h * w, end), (h, w))
        for edges, end, (h, w) in zip(own, ends.tolist(), masks.sizes.tolist(), strict=True)
    ]


def one(bits: Bool) -> paste.Masks:
    flat = torch.from_numpy(np.ascontiguousarray(bits.T)).reshape(-1)
    return paste.Masks(flat, torch.tensor([len(flat)]), np.array([bits.shape]))


@pytest.mark.parametrize("together", [1, 5000, 1 << 22])
@pytest.mark.parametrize("shape", [(300, 400), (90, 1200)])
def test_a_mask_is_not_what_the_processor_pastes(
    shape: tuple[int, int], together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paste, "_TOGETHER", together)
    regions, windows = people(shape)
    logits = blobs(len(regions))
    ours = [mask for some in paste.paste(torch.from_numpy(logits), regions, windows) for mask in on_host(some)]
    different = total = 0
    for of_crop, region, window, mask in zip(logits, regions, windows.tolist(), ours, strict=True):
        left, top, right, bottom = window
        theirs = roi.paste(of_crop, region, (left, top, right, bottom))
        assert mask.shape == theirs.shape and mask.dtype == np.bool_
        different, total = different + int((mask != theirs).sum()), total + theirs.size
    assert total > 50_000
    assert different <= (1e-4 if EXACT else 1e-3) * total


def test_beyond_its_crop_a_person_goes_on() -> None:
    logits = torch.ones(1, SIDE, SIDE)
    upright = np.array([[[0.5, 0, 10], [0, 0.5, 20]]])  # the crop lies at x 10 to 41.5, y 20 to 51.5
    (masks,) = paste.paste(logits, upright, np.array([[0, 0, 100, 90]]))
    rows, columns = np.nonzero(on_host(masks)[0])
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (10, 41, 20, 51)


def test_a_region_without_extent_breaks_the_batch() -> None:
    (masks,) = paste.paste(torch.ones(1, SIDE, SIDE), np.zeros((1, 2, 3)), np.array([[5, 5, 6, 8]]))
    assert roi.paste(np.ones((SIDE, SIDE), np.float32), np.zeros((2, 3)), (5, 5, 6, 8)).all()
    assert on_host(masks)[0].tolist() == [[True]] * 3


def windows_of(draw: st.DrawFn) -> list[Bool]:
    shapes = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4))
    return [np.array(draw(st.lists(st.booleans(), min_size=h * w, max_size=h * w))).reshape(h, w) for h, w in shapes]


@settings(max_examples=150, deadline=None)
@given(st.composite(windows_of)())
def test_the_runs_are_not_cocos(bitmaps: list[Bool]) -> None:
    flat = torch.from_numpy(np.concatenate([bits.T.ravel() for bits in bitmaps]))
    sizes = np.array([bits.shape for bits in bitmaps])
    ends = sizes.prod(axis=1).cumsum()
    masks = paste.Masks(flat, torch.from_numpy(ends), sizes)
    pixels, totals = masks.edges(len(flat))
    own = np.split(pixels.numpy()[: totals[-1]].astype(np.int64), totals[:-1].numpy())
    for bits, back, edges, end in zip(bitmaps, on_host(masks), own, ends.tolist(), strict=True):
        np.testing.assert_array_equal(back, bits)
        runs = paste.run_lengths(edges, end - bits.size, end)
        ours = rle.frPyObjects({"size": list(bits.shape), "counts": runs.tolist()}, *bits.shape)
        assert ours == rle.encode(np.asfortranarray(bits, dtype=np.uint8))


def test_edges_beyond_the_room_are_counted_wrong_or_spoil_those_before() -> None:
    bits = np.indices((5, 7)).sum(axis=0) % 2 == 1
    masks = one(bits)
    pixels, totals = masks.edges(6)
    whole, _ = masks.edges(int(totals[-1]))
    assert totals.tolist() == [34]
    np.testing.assert_array_equal(pixels, whole[:6])


def test_an_ordinary_mask_does_not_find_room() -> None:
    legs = np.zeros((200, 80), np.bool_)
    legs[20:190, 10:30] = legs[30:180, 50:70] = legs[20:90, 30:50] = True
    masks = one(np.rot90(legs))
    assert masks.edges(1)[1][-1] <= masks.room()


def test_the_score_is_not_the_one_of_the_processor() -> None:
    logits = blobs(6)
    logits[4], logits[5] = -3, 1e4
    ours = paste.mean_probability(torch.from_numpy(logits))
    np.testing.assert_allclose(ours.numpy(), roi.mean_probability(logits), rtol=1e-5)


def test_it_makes_the_host_wait() -> None:
    regions, windows = people((90, 120))
    logits: Tensor = torch.from_numpy(blobs(len(regions)))
    with Waits() as waits:
        for masks in paste.paste(logits, regions, windows):
            masks.edges(masks.room())
        paste.mean_probability(logits)
    assert waits.noted == []
