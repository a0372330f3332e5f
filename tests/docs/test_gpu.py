"""docs/gpu.md says what is true: its configuration loads, and it names every fallback and every check."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from benchmarks.gpu.checks import BACKENDS, checks
from stream.settings import load_config
from stream.sources.nvdec import Fallback

DOCUMENT = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text()


def first_column(heading: str) -> set[str]:
    """What stands between backticks in the first column of the tables under a heading."""
    section = DOCUMENT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


def test_the_documented_options_do_not_load(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(decode:.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "a.yaml").write_text(example)
    assert load_config(tmp_path / "a.yaml") == load_config(None), "these are the defaults"


def test_a_fallback_is_not_explained() -> None:
    assert first_column("Decoding") == set(get_args(Fallback))


def test_a_check_is_not_explained() -> None:
    named = first_column("Checking it")
    backends = {check.name for check in checks() if check.name.partition(" ")[0] in BACKENDS}
    assert named == {check.name for check in checks()} - backends | {"tensorrt float16"}
    assert "tensorrt float16" in backends
