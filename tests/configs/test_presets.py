"""The presets: what they promise is what they ask for, and each looks less often than the one before it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.attention.attention import Pace
from stream.settings import load_config

FOLDER = Path(__file__).parents[2] / "configs"


def pace(name: str) -> Pace:
    return Pace.of(load_config(FOLDER / f"{name}.yaml", [], ["testpattern://320x240@25"]))


@pytest.mark.parametrize("name", ["accurate", "balanced", "fast", "quality_masks", "default"])
def test_a_preset_names_an_option_that_is_gone(name: str) -> None:
    assert pace(name).detector >= 1


def test_a_faster_preset_looks_more_often() -> None:
    accurate, balanced, fast = map(pace, ("accurate", "balanced", "fast"))
    assert accurate == Pace()
    for part in ("detector", "pose", "still", "masks"):
        assert getattr(accurate, part) <= getattr(balanced, part) <= getattr(fast, part)
    assert accurate.pose == balanced.pose, "balanced looks at everybody who moves"


def test_still_people_are_looked_at_more_often_than_those_who_move() -> None:
    config = load_config(None, ["pose.every=4"], ["testpattern://320x240@25"])
    assert Pace.of(config).still == 4
