"""The messages as plain maps of named fields, the same for MessagePack and JSON; `docs/wire.md` explains each field.

Writing trusts its input. Reading trusts nobody: whatever is missing, of another type, out of range or too large raises
`SchemaError`; fields it does not know are left alone, as a later minor version may add some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from stream.types import KEYPOINTS, Clock, Float, FrameResult, Mask, People, Polygon, StreamInfo
from stream.wire import _fields as read
from stream.wire._fields import SchemaError, VersionError
from stream.wire._rle import fill_their_windows

VERSION = (1, 1)
"""Major and minor: another major is refused, a higher minor only adds fields."""

MAX_SIDE = 65_535
"""The largest width or height of a frame or of a mask's window, pixels."""

MAX_MASK_AREA = 1 << 28
"""The largest window of a mask, pixels: 16384 x 16384."""

ReadKeypoints: TypeAlias = Callable[[list[Any]], Float]
"""Makes float32 [N, 17, 3] of the field `keypoints` of N people."""

_CLOCKS: tuple[Clock, ...] = ("arrival", "file", "ntp")


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How a stream is doing; published when that changes.

    Attributes:
        stream: id of the stream.
        epoch: the connection it speaks of.
        state: "running", "reconnecting", "ended" (the file is over) or "failed" (given up); more may come.
        next_seq: `seq` of the next frame, were there one: with "ended" it tells whether the last frames were lost.
        reason: one sentence for a person, empty where there is nothing to say.
    """

    stream: str
    epoch: int
    state: str
    next_seq: int
    reason: str = ""

    @property
    def final(self) -> bool:
        """Whether no frame will follow."""
        return self.state in ("ended", "failed")


def result_record(
    result: FrameResult, *, boxes: list[Any], scores: list[Any], keypoints: Sequence[Any], velocity: list[Any]
) -> dict[str, Any]:
    """`result` as a map, with the numbers of each person in the form that the encoding wants."""
    people = result.people
    masks = [None if mask is None else _mask_record(mask) for mask in people.masks or [None] * len(people)]
    rows = zip(
        people.ids.tolist(), boxes, scores, keypoints, masks, people.predicted.tolist(), velocity, strict=True
    )  # fmt: skip
    return {
        "v": list(VERSION),
        "stream": result.stream,
        "epoch": int(result.epoch),
        "seq": int(result.seq),
        "pts": float(result.pts),
        "captured_at": float(result.captured_at),
        "clock": result.clock,
        "published_at": float(result.published_at),
        "width": int(result.width),
        "height": int(result.height),
        "people": [
            {
                "id": number,
                "box": box,
                "score": score,
                "keypoints": places,
                "mask": mask,
                "predicted": predicted,
                "velocity": speed,
            }
            for number, box, score, places, mask, predicted, speed in rows
        ],
    }


def read_result(record: Any, read_keypoints: ReadKeypoints) -> FrameResult:
    """The result that `record` describes.

    Raises:
        SchemaError: the record is not a frame of version 1.
    """
    record = read_versioned(record)
    clock = read.text(record, "clock")
    if clock not in _CLOCKS:
        raise SchemaError(f"field 'clock' is {clock[:40]!r}, none of {', '.join(_CLOCKS)}")
    width, height = _size(record)
    return FrameResult(
        stream=read.stream_id(record),
        epoch=read.integer(record, "epoch"),
        seq=read.integer(record, "seq"),
        pts=read.number(record, "pts"),
        captured_at=read.number(record, "captured_at"),
        clock=clock,
        published_at=read.number(record, "published_at"),
        width=width,
        height=height,
        people=_people(read.sequence(record, "people"), read_keypoints, (height, width)),
    )


def info_record(info: StreamInfo) -> dict[str, Any]:
    """`info` as a map."""
    return {
        "v": list(VERSION),
        "stream": info.stream,
        "epoch": int(info.epoch),
        "source": info.source,
        "width": int(info.width),
        "height": int(info.height),
        "fps": float(info.fps),
        "frames": int(info.frames),
        "models": dict(info.models),
        "keypoints": list(info.keypoints),
        "skeleton": [list(limb) for limb in info.skeleton],
        "run": info.run,
        "replay": info.replay,
    }


def read_info(record: Any) -> StreamInfo:
    """The stream that `record` describes; raises `SchemaError` as `read_result` does."""
    record = read_versioned(record)
    width, height = _size(record)
    names = read.sequence(record, "keypoints", len(KEYPOINTS))
    models = read.mapping(read.field(record, "models"), "field 'models'")
    if not all(isinstance(text, str) for text in (*names, *models, *models.values())):
        raise SchemaError("the names in 'keypoints' and 'models' are not all text")
    limbs = read.sequence(record, "skeleton")
    return StreamInfo(
        stream=read.stream_id(record),
        epoch=read.integer(record, "epoch"),
        source=read.text(record, "source"),
        width=width,
        height=height,
        fps=read.number(record, "fps"),
        frames=read.integer(record, "frames"),
        models=dict(models),
        keypoints=tuple(names),
        skeleton=tuple(_limb(limb, len(names)) for limb in limbs),
        run=read.text(record, "run") if "run" in record else "",  # a publisher of version 1.0 has neither
        replay=read.text(record, "replay") if "replay" in record else "",
    )


def status_record(status: StreamStatus) -> dict[str, Any]:
    """`status` as a map."""
    return {
        "v": list(VERSION),
        "stream": status.stream,
        "epoch": int(status.epoch),
        "state": status.state,
        "next_seq": int(status.next_seq),
        "reason": status.reason,
    }


def read_status(record: Any) -> StreamStatus:
    """The status that `record` describes; raises `SchemaError` as `read_result` does."""
    record = read_versioned(record)
    return StreamStatus(
        stream=read.stream_id(record),
        epoch=read.integer(record, "epoch"),
        state=read.text(record, "state"),
        next_seq=read.integer(record, "next_seq"),
        reason=read.text(record, "reason"),
    )


def read_versioned(record: Any) -> Mapping[str, Any]:
    """The map `record`, once its version is one that this program understands; raises `VersionError` otherwise."""
    fields = read.mapping(record, "the message")
    major, minor = _pair(fields, "v", 0, 2**31)
    if major != VERSION[0]:
        raise VersionError(
            f"the message is of version {major}.{minor} and this program reads {VERSION[0]}.x: "
            "install the peoplestream that fits the publisher"
        )
    return fields


def _size(record: Mapping[str, Any]) -> tuple[int, int]:
    return read.integer(record, "width", 1, MAX_SIDE), read.integer(record, "height", 1, MAX_SIDE)


def _pair(record: Mapping[str, Any], name: str, low: int, high: int) -> tuple[int, int]:
    first, second = read.sequence(record, name, 2)
    return read.whole(first, name, low, high), read.whole(second, name, low, high)


def _limb(value: Any, keypoints: int) -> tuple[int, int]:
    first, second = read.items(value, "skeleton", 2)
    return read.whole(first, "skeleton", 0, keypoints - 1), read.whole(second, "skeleton", 0, keypoints - 1)


def _mask_record(mask: Mask | Polygon) -> dict[str, Any]:
    size, origin = list(mask.size), list(mask.origin)
    if isinstance(mask, Polygon):
        return {"size": size, "outlines": [list(line) for line in mask.outlines], "origin": origin}
    return {"size": size, "counts": mask.counts.decode("ascii"), "origin": origin}


def _people(records: list[Any], read_keypoints: ReadKeypoints, frame_size: tuple[int, int]) -> People:
    rows = [read.mapping(person, "a person") for person in records]
    if not rows:
        return People.none(frame_size)
    return People(
        boxes=np.array([read.numbers(row, "box", 4) for row in rows], np.float32),
        scores=np.array([read.number(row, "score") for row in rows], np.float32),
        keypoints=read_keypoints([read.field(row, "keypoints") for row in rows]),
        ids=np.array([read.integer(row, "id", low=-(2**63)) for row in rows], np.int64),
        masks=_masks([read.field(row, "mask") for row in rows]),
        predicted=np.array([read.flag(row, "predicted") for row in rows], np.bool_),
        velocity=np.array([read.numbers(row, "velocity", 2) for row in rows], np.float32),
        frame_size=frame_size,
    )


def _masks(values: list[Any]) -> tuple[Mask | Polygon | None, ...]:
    masks = tuple(None if value is None else _mask(read.mapping(value, "a mask")) for value in values)
    given = [mask for mask in masks if isinstance(mask, Mask)]
    if not fill_their_windows([mask.counts for mask in given], [mask.size[0] * mask.size[1] for mask in given]):
        raise SchemaError("the 'counts' of a mask are not COCO's compressed run lengths of its 'size'")
    return masks if any(masks) else ()


def _mask(record: Mapping[str, Any]) -> Mask | Polygon:
    height, width = _pair(record, "size", 0, MAX_SIDE)
    if height * width > MAX_MASK_AREA:
        raise SchemaError(f"a mask of {width} x {height} pixels is larger than {MAX_MASK_AREA} pixels")
    origin = _pair(record, "origin", -(2**31), 2**31)
    if "outlines" in record:
        lines = read.sequence(record, "outlines")
        return Polygon((height, width), tuple(_outline(line, height, width) for line in lines), origin)
    try:
        counts = read.text(record, "counts").encode("ascii")
    except UnicodeEncodeError:
        raise SchemaError("the 'counts' of a mask are not ASCII text") from None
    return Mask((height, width), counts, origin)


def _outline(value: Any, height: int, width: int) -> tuple[int, ...]:
    corners = read.items(value, "outlines")
    if not corners or len(corners) % 2:
        raise SchemaError(f"an outline of a mask has {len(corners)} numbers, not an x and a y for each corner")
    for x, y in zip(corners[::2], corners[1::2], strict=True):
        read.whole(x, "outlines", 0, width - 1)
        read.whole(y, "outlines", 0, height - 1)
    return tuple(corners)
