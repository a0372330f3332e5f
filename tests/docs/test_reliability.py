"""docs/reliability.md names tests that exist, and every kind of fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from stream.sources.faults import Fault

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reliability.md").read_text()


def test_a_test_is_named_that_does_not_exist() -> None:
    named = re.findall(r"`([\w/]*test_\w+\.py)`", DOCUMENT)
    paths = [ROOT / name if "/" in name else ROOT / "tests" / "faults" / name for name in named]
    assert len(paths) > 10 and [path.name for path in paths if not path.is_file()] == []


def test_a_kind_of_fault_is_not_explained() -> None:
    assert [fault for fault in get_args(Fault) if f"`{fault}`" not in DOCUMENT] == []
