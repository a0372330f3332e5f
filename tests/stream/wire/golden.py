"""Messages that never change: what version 1 looks like in bytes. `python -m tests.stream.wire.golden` writes them.

Each is `golden/<name>.msgpack` (the body) beside `golden/<name>.json` (its topic, and the same as JSON). Other programs
may test their readers against them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from stream.types import FrameResult, Mask, People, StreamInfo
from stream.wire import StreamStatus, pack, to_json, topic
from stream.wire._answers import Request, pack_answer, pack_refusal, pack_request
from stream.wire.records import info_record, status_record
from stream.wire.schema import Message

FOLDER = Path(__file__).with_name("golden")

RUN = "0123456789abcdef"

NOBODY = FrameResult("lobby", 0, 0, 0.0, 1_700_000_000.0, "file", 1_700_000_000.125, 640, 480, People.none((480, 640)))

PEOPLE = People(
    boxes=np.array([[10.5, 20.25, 110.0, 220.75], [-3.0, 400.0, 50.0, 500.5]], np.float32),
    scores=np.array([0.875, 0.5], np.float32),
    keypoints=np.stack(
        [
            np.stack([np.arange(17) * 4.5 + 12, np.arange(17) * 11.25 + 21, np.linspace(0, 1, 17)], axis=1),
            np.zeros((17, 3)),
        ]
    ).astype(np.float32),
    ids=np.array([7, -1]),
    masks=(Mask((4, 6), b"5220000O4", (10, 20)), None),
    predicted=np.array([False, True]),
    velocity=np.array([[-1.5, 0.25], [0.0, 0.0]], np.float32),
    frame_size=(480, 640),
)

MESSAGES: dict[str, Message] = {
    "frame_nobody": NOBODY,
    "frame_two_people": replace(NOBODY, epoch=2, seq=2**40, pts=3.04, clock="ntp", people=PEOPLE),
    "info": StreamInfo(
        "gate-2", 1, "rtsp://camera/ääkkönen", 1920, 1080, 25.0, 0, {"detector": "d", "pose": "p"},
        run=RUN, replay="tcp://*:40123",
    ),
    "status_running": StreamStatus("lobby", 0, "running", 12),
    "status_failed": StreamStatus("lobby", 3, "failed", 795, "the camera refuses the password"),
}  # fmt: skip
"""By the name of their files."""

REQUEST = Request("lobby", RUN, 100, 250)


def old_info() -> dict[str, Any]:
    """The info of a publisher of version 1.0."""
    info = MESSAGES["info"]
    assert isinstance(info, StreamInfo)
    record = info_record(info)
    return {**{name: value for name, value in record.items() if name not in ("run", "replay")}, "v": [1, 0]}


def files() -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Name -> the bytes, and what the JSON beside them says."""
    made = {name: (pack(message), _json(message)) for name, message in MESSAGES.items()}
    made["info_1_0"] = msgpack.packb(old_info()), {"topic": "info/gate-2", "body": old_info()}
    for name, body in {
        "replay_request": pack_request(REQUEST),
        "replay_answer": pack_answer("lobby", RUN, 100, 180, StreamStatus("lobby", 0, "ended", 180), ())[0],
        "replay_refusal": pack_refusal("field 'stream' is missing")[0],
    }.items():
        made[name] = body, {"topic": None, "body": msgpack.unpackb(body)}
    return made


def _json(message: Message) -> dict[str, Any]:
    if isinstance(message, FrameResult):
        body = json.loads(to_json(message))
    else:
        body = info_record(message) if isinstance(message, StreamInfo) else status_record(message)
    return {"topic": topic(message).decode(), "body": body}


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(exist_ok=True)
    for name, (body, record) in files().items():
        (FOLDER / f"{name}.msgpack").write_bytes(body)
        (FOLDER / f"{name}.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
