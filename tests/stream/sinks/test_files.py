"""Growing files: nothing is overwritten, nothing ends in half a record."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.sinks.files import RecordFile
from tests.stream.sinks.scenes import full_disk


def test_a_recording_overwrites_the_one_before(tmp_path: Path) -> None:
    for expected in ("cam.1.jsonl", "cam.1-2.jsonl", "cam.1-3.jsonl"):
        with RecordFile(tmp_path / "new" / "cam.1.jsonl") as file:
            file.write(expected.encode())
            assert file.path.name == expected
    assert (tmp_path / "new" / "cam.1.jsonl").read_text() == "cam.1.jsonl"


@pytest.mark.parametrize("closing", [b"", b"\n]\n"])
def test_a_full_disk_leaves_half_a_record(tmp_path: Path, closing: bytes) -> None:
    with RecordFile(tmp_path / "a", closing) as file:
        file.write(b"first")
        with full_disk(20), pytest.raises(OSError, match="too large"):
            file.write(b"x" * 30)
        assert file.path.read_bytes() == b"first" + closing
        file.write(b"second")  # there is room again
    assert file.path.read_bytes() == b"firstsecond" + closing


def test_a_record_waits_in_memory(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "a")
    file.write(b"now")
    assert file.path.read_bytes() == b"now"
    file.close()
    file.close()
