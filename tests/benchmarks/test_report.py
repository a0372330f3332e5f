"""The tables and plots of the performance page, from JSON."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.plots import PLOTS, draw
from benchmarks.report import PAGE, PLACE, fill
from benchmarks.tables import TABLES, number, table

MACHINE = {"processor": "AMD EPYC", "cores": 2}
CHAIN: dict[str, Any] = {
    "frame_ms": 50.0,
    "model_ms": {"detector": 10.0, "pose": 20.0},
    "overhead": 1.67,
    "fps": 20.0,
    "people_per_frame": 5.9,
    "latency_ms": {"p50": 300.0},
}
NETWORK: dict[str, Any] = {
    "model": "mobilesam",
    "backend": "openvino",
    "precision": "float32",
    "input": [256, 512, 3],
    "ms_by_batch": {"1": 8.0, "8": 7.5},
}
ATTEMPTS = [
    {"streams": 1, "held": True, "fps": 10.0, "p95_ms": 90.0, "dropped": 0, "peak_mib": 300.0},
    {"streams": 2, "held": False, "fps": 9.0, "p95_ms": 900.0, "dropped": 12, "peak_mib": 310.0},
]
MEMORY = [{"streams": 1, "peak_mib": 300.0}, {"streams": 8, "peak_mib": 440.0}]
FIGURES: dict[str, dict[str, Any]] = {
    "decode": {"fps": 2000.0, "width": 768, "height": 576, "threads": 1},
    "infer": {
        "networks": {"mobilesam/encoder": NETWORK, "mobilesam/decoder": NETWORK | {"input": [[256, 24, 20], [5, 2]]}}
    },
    "pipeline": {"accurate": CHAIN},
    "tracker": {"us_per_frame": {"6": 120.4, "100": 2900.0}},
    "presets": {
        "rows": [
            {"name": "accurate", "fps": 9.1, "HOTA": 0.652, "id_switches": 6, "keypoint_ap": 1.0, "mask_iou": None}
        ]
    },
    "bookkeeping": {"by_people": {"6": {"tracking": 90.0, "masks": 31.5}}},
    "trackers": {
        "rows": [
            {"tracker": "peoplestream", "HOTA": 0.4, "MOTA": 0.41, "IDF1": 0.5, "id_switches": 9, "us_public": 99.0}
        ]
    },
    "wire": {"by_people": {"1": {"bytes": 600, "encode_us": 5.0, "decode_us": 9.0}}},
    "people": {
        "rows": [
            {"people": n, "detector": 10.0, "pose": 2.0 * n, "masks": 3.0 * n, "tracker": 0.2, "wire": 0.1, "bytes": n}
            for n in (1, 60)
        ]
    },
    "streams": {"rows": [{"streams": n, "fps": 20.0, "ms_per_frame": 50.0} for n in (1, 32)]},
    "resolution": {
        "rows": [
            {"width": 320, "height": 240, "decode_ms": 0.3, "ms_per_frame": 50.0, "fps": 20.0, "people_per_frame": 4.0}
        ]
    },
    "peers": {
        "rows": {
            name: {"fps": fps, "people_per_frame": 5.9, "peak_mib": 300.0}
            for name, fps in (("rtmlib, OpenVINO", 20.0), ("`balanced`", 50.0))
        },
        "runs": {
            "rtmlib, OpenVINO": [{"fps": 20.0}, {"fps": 10.0}, {"fps": 25.0}],
            "`balanced`": [{"fps": 50.0}, {"fps": 24.0}, {"fps": 65.0}],
        },
        "rounds": 3,
        "frames": 200,
        "threads": 2,
        "video": "vtest.avi",
        "left_out": {"MediaPipe Pose": "pip found no version for this Python"},
    },
    "streams_held": {"attempts": {"`balanced`": ATTEMPTS}, "held": {"`balanced`": 1}, "left_out": {}},
    "memory": {
        "rows": {"`balanced`": {"file": MEMORY}},
        "each_further_mib": {"`balanced`": {"file": 20.0}},
        "left_out": {},
    },
}


def measured(name: str) -> dict[str, Any]:
    about = {"quick": False, "machine": MACHINE, "measured": "2026-11-20", "command": "python -m benchmarks.run"}
    return about | {"figures": FIGURES[name]}


def test_a_table_that_is_made_and_nowhere_shown() -> None:
    assert {match[2] for match in PLACE.finditer(PAGE.read_text(encoding="utf-8"))} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_whose_lines_differ_in_length(name: str) -> None:
    page = fill(f"before\n<!-- bench:{name} -->\nold\n<!-- end -->\nafter\n", {name: measured(name)}, {})
    assert page.startswith("before\n")
    assert page.endswith("<!-- end -->\nafter\n")
    assert "old" not in page
    assert "AMD EPYC, 2 cores, 2026-11-20: `python -m benchmarks.run`" in page
    assert len({line.count("|") for line in page.splitlines() if line.startswith("|")}) == 1


def test_filling_in_twice_changes_the_page() -> None:
    results = {name: measured(name) for name in TABLES}
    plotted = {"people": "plots/people.svg"}
    once = fill("".join(f"<!-- bench:{name} -->\n<!-- end -->\n" for name in TABLES), results, plotted)
    assert once.count("![people](plots/people.svg)") == 1
    assert fill(once, results, plotted) == once


def test_a_table_without_figures_is_emptied() -> None:
    page = "<!-- bench:wire -->\n| of last year |\n<!-- end -->\n<!-- bench:decode -->\n<!-- end -->\n"
    filled = fill(page, {"decode": measured("decode")}, {})
    assert "| of last year |" in filled
    assert "| 768 x 576 | 1 | 2000 | 0.50 |" in filled


def test_a_place_for_a_table_that_nobody_makes() -> None:
    with pytest.raises(ValueError, match="nothing makes the table decoed"):
        fill("<!-- bench:decoed -->\n<!-- end -->", {}, {})


def test_a_peer_that_was_left_out_is_not_mentioned() -> None:
    assert TABLES["peers"](FIGURES["peers"]).endswith(
        "MediaPipe Pose is left out: pip found no version for this Python."
    )


def test_ratios_without_the_yardstick() -> None:
    alone = {kind: {"`balanced`": FIGURES["peers"][kind]["`balanced`"]} for kind in ("rows", "runs")}
    assert "| `balanced` | 50.0 | 5.9 | - | 300 |" in TABLES["peers"](FIGURES["peers"] | alone)


def test_ratios_of_other_rounds() -> None:
    assert "| `balanced` | 50.0 | 5.9 | 2.50 (2.40 to 2.60) | 300 |" in TABLES["peers"](FIGURES["peers"])


def test_a_trial_passes_for_a_measurement() -> None:
    page = "<!-- bench:decode -->\n<!-- end -->\n"
    assert "trial" not in fill(page, {"decode": measured("decode")}, {})
    assert "a trial: the figures say little" in fill(page, {"decode": measured("decode") | {"quick": True}}, {})


def test_why_a_further_stream_was_not_held_is_kept_back() -> None:
    assert "| `balanced` | 1 | 90 ms | 300 | 12 dropped, p95 900 ms |" in TABLES["streams_held"](
        FIGURES["streams_held"]
    )


@pytest.mark.parametrize(("value", "text"), [(0.123, "0.12"), (9.876, "9.88"), (12.34, "12.3"), (123.4, "123")])
def test_digits_that_nobody_measured(value: float, text: str) -> None:
    assert number(value) == text


def test_an_empty_head_breaks_a_table() -> None:
    assert table(("", "fps"), [("a", 1)]) == "| | fps |\n| --- | --- |\n| a | 1 |"


@pytest.mark.parametrize("name", PLOTS)
def test_the_same_figures_give_another_picture(name: str, tmp_path: Path) -> None:
    pictures = []
    for name_of_file in ("one.svg", "two.svg"):
        file = tmp_path / name_of_file
        draw(name, FIGURES[name], file)
        pictures.append(file.read_bytes())
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(b"<?xml")
