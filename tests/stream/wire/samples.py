"""Results to send, made up from a seed."""

from __future__ import annotations

import numpy as np

from stream.types import FrameResult, Mask, People, StreamInfo


def make_result(
    stream: str = "lobby", seq: int = 0, people: int = 3, *, size: tuple[int, int] = (96, 128)
) -> FrameResult:
    """A frame of (height, width) `size` with people of all sorts; with some masks, some of them None."""
    rng = np.random.default_rng(seq)
    height, width = size
    corners = rng.random((people, 2)) * [width, height] * 0.6
    boxes = np.concatenate([corners, corners + rng.random((people, 2)) * [width, height] * 0.4], axis=1)
    masks = tuple(_mask(rng, box) if i % 3 != 2 else None for i, box in enumerate(boxes))
    keypoints = rng.random((people, 17, 3)) * [width, height, 1]
    return FrameResult(
        stream=stream,
        epoch=0,
        seq=seq,
        pts=seq / 10,
        captured_at=1_700_000_000.123456 + seq / 10,
        clock="file",
        published_at=1_700_000_000.223456 + seq / 10,
        width=width,
        height=height,
        people=People(
            boxes=boxes.astype(np.float32),
            scores=rng.random(people).astype(np.float32),
            keypoints=keypoints.astype(np.float32),
            ids=np.arange(1, people + 1),
            masks=masks,
            predicted=rng.random(people) < 0.3,
            velocity=rng.normal(size=(people, 2)).astype(np.float32),
            frame_size=size,
        ),
    )


def make_info(stream: str = "lobby", *, size: tuple[int, int] = (96, 128), fps: float = 10.0) -> StreamInfo:
    """What such a stream is."""
    return StreamInfo(stream, 0, f"{stream}.mp4", size[1], size[0], fps, 100, {"detector": "tiny"})


def assert_same(one: FrameResult, other: FrameResult) -> None:
    """Fail unless both say exactly the same."""
    for name in ("stream", "epoch", "seq", "pts", "captured_at", "clock", "published_at", "width", "height"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("boxes", "scores", "keypoints", "ids", "predicted", "velocity"):
        mine, theirs = getattr(one.people, name), getattr(other.people, name)
        assert mine.dtype == theirs.dtype and mine.shape == theirs.shape and (mine == theirs).all(), name
    assert one.people.frame_size == other.people.frame_size
    assert [one.people.rle(i) for i in range(len(one.people))] == [
        other.people.rle(i) for i in range(len(other.people))
    ]


def _mask(rng: np.random.Generator, box: np.ndarray) -> Mask:
    x1, y1, x2, y2 = (int(value) for value in box)
    return Mask.encode(rng.random((y2 - y1 + 1, x2 - x1 + 1)) < 0.5, (x1, y1))
