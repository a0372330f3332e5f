"""What a run says of its networks before and after it."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from models.backends import Choice
from stream.cli.report import show_choices, show_summary
from stream.metrics import Series
from stream.summary import RunSummary, StreamSummary


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(shown: Console) -> str:
    assert isinstance(shown.file, io.StringIO)
    return shown.file.getvalue()


def choice() -> Choice:
    return Choice("torch", "float32", "cpu", "the only one", (), 0.0)


def summary(stages: dict[str, Series]) -> RunSummary:
    stream = StreamSummary("hall", frames=2, people=0, ids=0, dropped={}, overruns=0, error=None)
    return RunSummary(1.0, (stream,), Series(2, 2.0, 1, 1, 1), stages, {}, {}, 1)


def test_a_network_of_two_parts_breaks_the_list() -> None:
    shown = console()
    parts = {"detector": choice(), "detector/dcc": choice()}
    pipeline: Any = SimpleNamespace(assembly=SimpleNamespace(choices=parts, models={"detector": "rtmo-s-coco"}))
    show_choices(shown, pipeline)
    first, second = said(shown).splitlines()
    assert "rtmo-s-coco on torch" in first
    assert "rtmo-s-coco, dcc on torch" in second


def test_the_time_of_one_part_is_shown_for_that_of_the_network() -> None:
    shown = console()
    series = Series(2, 20.0, 10, 10, 10)
    stages = {"detect": Series(2, 100.0, 50, 50, 50), "model/detector": series, "model/detector/dcc": series}
    show_summary(shown, summary(stages))
    (row,) = [line.split() for line in said(shown).splitlines() if line.startswith("find people")]
    assert row[-2:] == ["50.00", "20.00"]
