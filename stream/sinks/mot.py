"""Results as the text files of the MOTChallenge: one line for each person of each frame."""

from __future__ import annotations

from pathlib import Path

from stream.sinks.files import RecordFile
from stream.types import UNTRACKED, FrameResult, Image


class Persons:
    """Numbers people through all epochs of a stream.

    Ids start again at every reconnect; the numbers go on from the highest so far, so that a number is one person.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self._before = 0  # the highest number of the epochs before
        self._highest = 0

    def numbers(self, epoch: int, ids: list[int]) -> list[int]:
        """The numbers of the people with these ids; `UNTRACKED` stays."""
        if epoch != self._epoch:
            self._epoch, self._before = epoch, self._highest
        numbers = [UNTRACKED if id_ == UNTRACKED else id_ + self._before for id_ in ids]
        self._highest = max(self._highest, *numbers, 0)
        return numbers


class MotWriter:
    """Writes `frame, id, left, top, width, height, score, -1, -1, -1` of everybody seen.

    Frames and pixels count from 1, as the challenge has it (Leal-Taixe et al., "MOTChallenge 2015"). People whom the
    tracker has only carried on are left out, for the format cannot say so.

    Args:
        path: the file to make.
        persons: numbers the people; the one of the file before, where this file goes on.
    """

    def __init__(self, path: Path, persons: Persons | None = None) -> None:
        self.file = RecordFile(path)
        self._persons = persons or Persons()

    def write(self, result: FrameResult, _: Image | None = None) -> None:
        """Append the lines of one frame."""
        people = result.people[~result.people.hidden]
        numbers = self._persons.numbers(result.epoch, people.ids.tolist())
        lines = []
        for number, box, score in zip(numbers, people.boxes.tolist(), people.scores.tolist(), strict=True):
            x1, y1, x2, y2 = box
            window = f"{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
            lines.append(f"{result.seq + 1},{number},{window},{score:.4f},-1,-1,-1\n")
        self.file.write("".join(lines).encode())

    def close(self) -> None:
        """Close the file."""
        self.file.close()
