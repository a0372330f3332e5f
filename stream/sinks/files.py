"""Files that a recorder may grow for days: never over another one, never ending in half a record."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import TracebackType
from typing import Self


class RecordFile:
    """A new file that grows by whole records, each of them in the hands of the system as soon as it is written.

    A file that is there already is left alone: the new one is called `name-2.jsonl`, `name-3.jsonl` and so on. A record
    that does not fit, on a full disk say, is taken back, so that what was written before stays readable.

    Args:
        path: where to write; its folder is made where it is missing.
        closing: bytes that always end the file, behind the last record.
        suffix: of the name, what a number goes before; where it is not given, from the last dot on.

    Raises:
        OSError: the file cannot be made.

    Attributes:
        path: what the file is really called.
        size: bytes of all records.
    """

    def __init__(self, path: Path, closing: bytes = b"", suffix: str | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix if suffix is None else suffix
        for number in itertools.count(1):
            self.path = path if number == 1 else path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")
            try:
                self._file = self.path.open("x+b", buffering=0)
            except FileExistsError:
                continue
            break
        self._closing = closing
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, record: bytes) -> int:
        """Write a record behind the last one; returns its length.

        Raises:
            OSError: it does not fit; the file is as it was before.
        """
        self._file.seek(self.size)
        try:
            self._put(record + self._closing)
        except OSError:
            self._file.seek(self.size)
            self._file.truncate()
            if self.size:
                self._put(self._closing)
            raise
        self.size += len(record)
        return len(record)

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        self._file.close()

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
