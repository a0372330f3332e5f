"""The tables of `docs/performance.md`: Markdown from the figures of each benchmark."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.peers import YARDSTICK, against

Figures = dict[str, Any]


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown of a table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |".replace("|  |", "| |") for line in lines)


def number(value: float) -> str:
    """Three significant digits, none of them behind a comma from 100 on."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def decode(figures: Figures) -> str:
    """Decoding alone."""
    size = f"{figures['width']} x {figures['height']}"
    return table(
        ("video", "threads", "fps", "ms a frame"),
        [(size, figures["threads"], number(figures["fps"]), number(1e3 / figures["fps"]))],
    )


def infer(figures: Figures) -> str:
    """The networks alone."""
    batches = list(next(iter(figures["networks"].values()))["ms_by_batch"])
    rows = [
        (
            ", ".join(filter(None, (f"`{of['model']}`", key.partition("/")[2], shape(of["input"])))),
            of["backend"],
            of["precision"],
            *(number(of["ms_by_batch"][batch]) for batch in batches),
        )
        for key, of in figures["networks"].items()
    ]
    return table(("network", "backend", "precision", *(f"batch of {batch}" for batch in batches)), rows)


def shape(of_input: Sequence[Any]) -> str:
    """Height and width of pictures; of a network with several inputs nothing, since none of them is the picture."""
    return f"{of_input[0]} x {of_input[1]}" if isinstance(of_input[0], int) else ""


def pipeline(figures: Figures) -> str:
    """The presets beside their networks alone."""
    rows = []
    for preset, of in figures.items():
        alone = of["model_ms"].values()
        parts = " + ".join(number(ms) for ms in alone)
        rows.append(
            (
                f"`{preset}`",
                number(of["frame_ms"]),
                f"{parts} = {number(sum(alone))}",
                f"{of['overhead']:.2f}",
                number(of["fps"]),
                f"{of['people_per_frame']:.1f}",
                f"{of['latency_ms']['p50']:.0f}",
            )
        )
    networks = " + ".join(next(iter(figures.values()))["model_ms"])
    return table(
        ("", "ms a frame", f"networks alone: {networks}", "overhead", "fps", "people a frame", "latency p50, ms"), rows
    )


def presets(figures: Figures) -> str:
    """Speed and accuracy of the presets."""
    keys = [key for key in figures["rows"][0] if key not in ("name", "fps")]
    rows = [
        (f"`{row['name']}`", number(row["fps"]), *(value(row[key], whole=key == "id_switches") for key in keys))
        for row in figures["rows"]
    ]
    return table(("", "fps", *(key.replace("_", " ") for key in keys)), rows)


def value(of: float | None, *, whole: bool) -> str:
    """A fraction, or a count."""
    return "-" if of is None else f"{of:.0f}" if whole else f"{of:.3f}"


def tracker(figures: Figures) -> str:
    """The tracker alone."""
    times = figures["us_per_frame"]
    return table(("people", *times), [("µs a frame", *(number(value) for value in times.values()))])


def bookkeeping(figures: Figures) -> str:
    """What follows the networks."""
    by_people = figures["by_people"]
    steps = list(next(iter(by_people.values())))
    rows = [(count, *(number(of[step]) for step in steps), number(sum(of.values()))) for count, of in by_people.items()]
    return table(("people", *(f"{step}, µs" for step in steps), "together, µs"), rows)


def trackers(figures: Figures) -> str:
    """Trackers on the same detections."""
    times = [key for key in figures["rows"][0] if key.startswith("us_")]
    rows = [
        (
            row["tracker"],
            *(f"{row[name]:.3f}" for name in ("HOTA", "MOTA", "IDF1")),
            row["id_switches"],
            *(number(row[key]) for key in times),
        )
        for row in figures["rows"]
    ]
    crowds = [f"µs, {key.removeprefix('us_')}" for key in times]
    return table(("tracker", "HOTA", "MOTA", "IDF1", "id switches", *crowds), rows)


def wire(figures: Figures) -> str:
    """Messages."""
    by_people = figures["by_people"]
    rows = [
        (name, *(number(of[key]) if key != "bytes" else of[key] for of in by_people.values()))
        for name, key in (("bytes", "bytes"), ("µs to encode", "encode_us"), ("µs to decode", "decode_us"))
    ]
    return table(("people, each with a mask", *by_people), rows)


def people(figures: Figures) -> str:
    """Stages by people in the frame."""
    stages = ("detector", "pose", "masks", "tracker", "wire")
    rows = [(row["people"], *(number(row[stage]) for stage in stages), row["bytes"]) for row in figures["rows"]]
    return table(("people", *(f"{stage}, ms" for stage in stages), "bytes"), rows)


def streams(figures: Figures) -> str:
    """Throughput by streams."""
    rows = [
        (row["streams"], number(row["fps"]), number(row["fps"] / row["streams"]), number(row["ms_per_frame"]))
        for row in figures["rows"]
    ]
    return table(("streams", "fps, all together", "fps, each", "ms a frame"), rows)


def resolution(figures: Figures) -> str:
    """Cost by the size of the pictures."""
    rows = [
        (
            f"{row['width']} x {row['height']}",
            number(row["decode_ms"]),
            number(row["ms_per_frame"]),
            number(row["fps"]),
            f"{row['people_per_frame']:.1f}",
        )
        for row in figures["rows"]
    ]
    return table(("pictures", "decoding alone, ms", "ms a frame", "fps", "people a frame"), rows)


def peers(figures: Figures) -> str:
    """Everybody on one video."""
    rows = figures["rows"]
    lines = [
        (
            name,
            number(row["fps"]),
            f"{row['people_per_frame']:.1f}",
            times(name, figures),
            f"{row['peak_mib']:.0f}",
        )
        for name, row in rows.items()
    ]
    return table(("", "fps", "people a frame", f"times {YARDSTICK}", "peak MiB"), lines) + (
        f"\n\nMedians of {figures['rounds']} interleaved rounds on {figures['frames']} frames of `{figures['video']}`, "
        f"in brackets the lowest and the highest, {figures['threads']} cores for each." + missing(figures)
    )


def times(name: str, figures: Figures) -> str:
    """How many times as fast as the yardstick, round by round."""
    ratios = against(YARDSTICK, name, figures["runs"])
    if not ratios:
        return "-"
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def streams_held(figures: Figures) -> str:
    """Streams held, and how it was with the most that were."""
    rows = []
    for name, attempts in figures["attempts"].items():
        most = figures["held"][name]
        best = next((of for of in attempts if of["held"] and of["streams"] == most), None)
        after = attempts[-1]
        why = "" if after["held"] else after.get("failed", f"{after['dropped']} dropped, p95 {late(after)}")
        rows.append((name, most, late(best) if best else "-", f"{best['peak_mib']:.0f}" if best else "-", why))
    return table(("", "streams held", "p95", "peak MiB", "one more"), rows) + missing(figures)


def late(figures: Figures) -> str:
    """The latency that 95 % of the frames keep within."""
    return f"{figures['p95_ms']:.0f} ms" if "p95_ms" in figures else "-"


def memory(figures: Figures) -> str:
    """Peak memory by streams."""
    counts = sorted({row["streams"] for kinds in figures["rows"].values() for rows in kinds.values() for row in rows})
    lines = []
    for name, kinds in figures["rows"].items():
        for kind, rows in kinds.items():
            peaks = {row["streams"]: f"{row['peak_mib']:.0f}" for row in rows}
            slope = figures["each_further_mib"][name][kind]
            further = "-" if slope is None else number(slope)
            lines.append((f"{name}, {kind}s", *(peaks.get(count, "-") for count in counts), further))
    return table(("MiB", *map(str, counts), "each further"), lines) + missing(figures)


def missing(figures: Figures) -> str:
    """Who was left out, and why."""
    return "".join(f"\n\n{name} is left out: {reason}." for name, reason in figures["left_out"].items())


TABLES: Mapping[str, Callable[[Figures], str]] = {
    function.__name__: function
    for function in (
        *(decode, infer, pipeline, presets, tracker, wire, bookkeeping),
        *(people, streams, resolution),
        *(peers, streams_held, memory, trackers),
    )
}
