"""Makes one sheet with every kind of output on a frame: boxes and ids, keypoints, and the masks of each mask network.

Usage: python -m benchmarks.outputs_picture SOURCE [--seconds 0] [--out out/outputs.png]

SOURCE is an image or a video, of which the frame at `--seconds` is taken. The mask networks are those whose weights are
on this machine; `peoplestream models pull NAME` brings another.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
from rich.console import Console

from benchmarks.arguments import explained, not_negative, picture_file
from models.build import Builder, Execution
from models.weights import cached
from models.zoo import load_zoo
from stream import load_config
from stream.assembly import Assembly, assemble
from stream.config import Config
from stream.metrics import Metrics
from stream.sinks import Style, draw
from stream.sinks.palette import colour_of
from stream.sources.opening import open_source
from stream.types import Frame, FrameResult, Image, Mask, People

SCORE = 0.4
"""People of whom the detector is less sure are left out; in a stream the tracker waits until it is."""

COLUMNS = 2
WIDTH = 900
"""Of a panel, pixels."""

GAP, BAR = 12, 40
"""Pixels between the panels, and of the line above each that says what it shows."""

MARGIN = 0.06
"""Of what is seen around all people, as a share of their extent."""

PAPER, INK = (255, 255, 255), (40, 34, 30)
BOXES = Style(tint=0.0, keypoint_score=2.0, caption=False)
SKELETONS = Style(tint=0.0, caption=False)
MASKS = Style(tint=0.6, keypoint_score=2.0, caption=False)
"""A keypoint score that none has leaves the skeletons out."""


def frame_of(config: Config, seconds: float) -> Frame:
    """The first frame of the first stream that is not before `seconds`."""
    with open_source(config.streams[0], config.decode) as source:
        for frame in source:
            if frame.pts >= seconds:
                return frame
    raise SystemExit(f"{config.streams[0].source} has no frame at {seconds} s")


def panels(frame: Frame, assembly: Assembly) -> Iterator[tuple[str, Image]]:
    """What each panel shows, and its picture."""
    names = assembly.models
    found = assembly.perception([frame.image], [False])[0]
    people = replace(found, ids=np.arange(1, len(found) + 1))  # one frame has no tracks: numbered by their score
    yield f"boxes and ids: {names['detector']}", _drawn(frame, people, BOXES)
    yield f"keypoints: {names['pose']}", _drawn(frame, people, SKELETONS)
    zoo = load_zoo()
    for entry in zoo.models:
        if entry.role == "masks" and (cached(entry) or not entry.needs_weights):
            segment = Builder(zoo).masks(entry.name, Execution(threads=assembly.threads))
            windows = segment([frame.image], [people.boxes], [people.keypoints])[0]
            masks = tuple(None if window is None else Mask.encode(window.bitmap, window.origin) for window in windows)
            yield f"masks: {entry.name}", _drawn(frame, replace(people, masks=masks), MASKS)


def sheet(shown: list[tuple[str, Image]]) -> Image:
    """The panels, `COLUMNS` in a row, each below a line of text."""
    height = len(shown[0][1])
    rows = -(-len(shown) // COLUMNS)
    size = (rows * (height + BAR + GAP) + GAP, COLUMNS * (WIDTH + GAP) + GAP, 3)
    page: Image = np.full(size, PAPER, np.uint8)
    for number, (text, picture) in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        top, left = GAP + row * (height + BAR + GAP), GAP + column * (WIDTH + GAP)
        at = (left + 2, top + BAR - 12)
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_DUPLEX, 0.75, INK, 1, cv2.LINE_AA)
        page[top + BAR : top + BAR + height, left : left + WIDTH] = picture
    return page


def _drawn(frame: Frame, people: People, style: Style) -> Image:
    result = FrameResult(
        stream=frame.stream,
        epoch=frame.epoch,
        seq=frame.seq,
        pts=frame.pts,
        captured_at=frame.captured_at,
        clock=frame.clock,
        published_at=frame.captured_at,
        width=frame.width,
        height=frame.height,
        people=people,
    )
    left, top, right, bottom = _around(people)
    picture = draw(frame.image, result, {}, style)
    if style is BOXES:
        for id_, box in zip(people.ids.tolist(), people.boxes.round().astype(int).tolist(), strict=True):
            cv2.rectangle(picture, box[:2], box[2:], colour_of(id_), 1, cv2.LINE_AA)
    way = cv2.INTER_AREA if right - left > WIDTH else cv2.INTER_CUBIC
    size = WIDTH, round((bottom - top) * WIDTH / (right - left))
    return np.asarray(cv2.resize(picture[top:bottom, left:right], size, interpolation=way), np.uint8)


def _around(people: People) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of the part of the frame with people in it; all of it where there is nobody."""
    height, width = people.frame_size
    if not len(people):
        return 0, 0, width, height
    low, high = people.boxes[:, :2].min(axis=0), people.boxes[:, 2:].max(axis=0)
    margin = MARGIN * float((high - low).max())
    left, top = np.maximum(low - margin, 0).astype(int).tolist()
    right, bottom = np.minimum(high + margin, (width, height)).astype(int).tolist()
    return left, top, right, bottom


@explained
def main() -> None:
    """Run the networks on the frame and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="an image or a video")
    parser.add_argument("--seconds", type=not_negative, default=0.0, help="where in the video")
    parser.add_argument("--out", type=picture_file, default="out/outputs.png")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    config = load_config(overrides=[f"detector.score={SCORE}", "masks.model=null"], sources=[arguments.source])
    frame = frame_of(config, arguments.seconds)
    shown = list(panels(frame, assemble(config, Metrics())))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(arguments.out), sheet(shown), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    Console().print(f"{arguments.out}: {len(shown)} panels, {arguments.out.stat().st_size // 1024} KB")


if __name__ == "__main__":
    main()
