"""What a run says of its networks before and after it."""

from __future__ import annotations

import io
from dataclasses import replace
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
    assembly = SimpleNamespace(choices=parts, models={"detector": "rtmo-s-coco"})
    pipeline: Any = SimpleNamespace(assembly=assembly, decodes_in_software="no GPU is here")
    show_choices(shown, pipeline)
    first, second, third = said(shown).splitlines()
    assert "rtmo-s-coco on torch" in first
    assert "rtmo-s-coco, dcc on torch" in second
    assert third.split() == ["decoding", "on", "the", "processor", "(no", "GPU", "is", "here)"]


def test_decoding_on_the_gpu_is_taken_for_granted() -> None:
    shown = console()
    pipeline: Any = SimpleNamespace(assembly=SimpleNamespace(choices={}), decodes_in_software=None)
    show_choices(shown, pipeline)
    assert said(shown).split() == ["decoding", "on", "the", "GPU", "(NVDEC)"]


def test_a_stream_falls_back_silently() -> None:
    shown = console()
    fallen = StreamSummary("hall", 2, 0, 0, {}, decoder="software", decoder_reason="no room", fallbacks={"sessions": 1})
    show_summary(shown, replace(summary({}), streams=(fallen,)))
    assert "decoded on the processor: no room" in said(shown)


def test_what_a_budget_puts_off_is_not_told() -> None:
    shown = console()
    late = StreamSummary("hall", 2, 0, 0, {}, put_off={"masks": 40, "keypoints": 7})
    whole = replace(summary({}), streams=(late,))
    show_summary(shown, whole)
    assert "put off: 40 masks, 7 keypoints" in " ".join(said(shown).split())
    assert whole.as_json()["streams"][0]["put_off"] == {"masks": 40, "keypoints": 7}


def test_the_time_of_one_part_is_shown_for_that_of_the_network() -> None:
    shown = console()
    series = Series(2, 20.0, 10, 10, 10)
    stages = {"detect": Series(2, 100.0, 50, 50, 50), "model/detector": series, "model/detector/dcc": series}
    show_summary(shown, summary(stages))
    (row,) = [line.split() for line in said(shown).splitlines() if line.startswith("find people")]
    assert row[-2:] == ["50.00", "20.00"]
