"""Results in the format that COCO's evaluation reads: one array of detections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from stream.sinks.files import RecordFile
from stream.types import FrameResult, Image, Mask, People

_PERSON = 1
"""The id of COCO's category person."""


class CocoWriter:
    """Writes everybody seen, with `image_id` = `seq` and box, keypoints and mask as far as they were estimated.

    The file is complete JSON after every frame. People whom the tracker has only carried on are left out.
    """

    def __init__(self, path: Path) -> None:
        self.file = RecordFile(path, closing=b"\n]\n")
        self.file.write(b"[")
        self._separator = b"\n"

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the people of one frame."""
        people = result.people[~result.people.hidden]
        entries = [json.dumps(_entry(result.seq, people, i), separators=(",", ":")) for i in range(len(people))]
        self.file.write(self._separator * bool(entries) + ",\n".join(entries).encode())
        if entries:
            self._separator = b",\n"

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def _entry(image_id: int, people: People, i: int) -> dict[str, Any]:
    x1, y1, x2, y2 = people.boxes[i].astype(np.float64).round(2).tolist()
    entry: dict[str, Any] = {
        "image_id": image_id,
        "category_id": _PERSON,
        "bbox": [x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)],
        "score": round(float(people.scores[i]), 4),
    }
    if people.keypoints[i, :, 2].any():
        entry["keypoints"] = people.keypoints[i].astype(np.float64).round(4).ravel().tolist()
    mask = people.mask(i)
    if mask is not None:
        full = Mask.encode(mask, (0, 0))
        entry["segmentation"] = {"size": list(full.size), "counts": full.counts.decode("ascii")}
    return entry
