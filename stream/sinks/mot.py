"""Results as the text files of the MOTChallenge: one line for each person of each frame."""

from __future__ import annotations

from pathlib import Path

from stream.sinks.files import RecordFile
from stream.types import UNTRACKED, FrameResult, Image


class MotWriter:
    """Writes `frame, id, left, top, width, height, score, -1, -1, -1` of everybody seen.

    Frames and pixels count from 1, as the challenge has it (Leal-Taixe et al., "MOTChallenge 2015"). Ids start again
    at every reconnect of a stream; here they go on from the highest so far, so that an id is one person. People whom
    the tracker has only carried on are left out, for the format cannot say so.
    """

    def __init__(self, path: Path) -> None:
        self._file = RecordFile(path)
        self.path = self._file.path
        self._epoch = 0
        self._before = 0  # the highest id of the epochs before
        self._highest = 0

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the lines of one frame."""
        if result.epoch != self._epoch:
            self._epoch, self._before = result.epoch, self._highest
        people = result.people[~result.people.predicted]
        lines = []
        for id_, box, score in zip(people.ids.tolist(), people.boxes.tolist(), people.scores.tolist(), strict=True):
            x1, y1, x2, y2 = box
            window = f"{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            number = UNTRACKED if id_ == UNTRACKED else id_ + self._before
            self._highest = max(self._highest, number)
            lines.append(f"{result.seq + 1},{number},{window},{score:.4f},-1,-1,-1\n")
        self._file.write("".join(lines).encode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
