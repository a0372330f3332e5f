"""The plots of `docs/performance.md`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: the files are small, and can be searched
    "svg.hashsalt": "peoplestream",  # the same figures give the same file
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
}

Figures = dict[str, Any]

OURS, OTHERS = "#0072b2", "#999999"


def people(axes: Axes, figures: Figures) -> None:
    """Stages by people."""
    rows = figures["rows"]
    for stage in ("masks", "pose", "detector", "tracker", "wire"):
        axes.plot([row["people"] for row in rows], [row[stage] for row in rows], marker=".", label=stage)
    axes.set(xlabel="people in the frame", ylabel="ms a frame", yscale="log", xlim=(0, None))
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.25))


def streams(axes: Axes, figures: Figures) -> None:
    """Throughput by streams."""
    rows = figures["rows"]
    counts = [row["streams"] for row in rows]
    axes.plot(counts, [row["fps"] for row in rows], marker=".", color=OURS)
    axes.set(xlabel="streams, each as fast as it can", ylabel="fps, all together", ylim=(0, None))
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, map(str, counts))


def resolution(axes: Axes, figures: Figures) -> None:
    """Cost by the size of the pictures."""
    rows = figures["rows"]
    pixels = [row["width"] * row["height"] / 1e6 for row in rows]
    axes.plot(pixels, [row["ms_per_frame"] for row in rows], marker=".", color=OURS, label="everything")
    axes.plot(pixels, [row["decode_ms"] for row in rows], marker=".", color=OTHERS, label="decoding alone")
    for row, x in zip(rows, pixels, strict=True):
        axes.annotate(f"{row['width']} x {row['height']}", (x, row["ms_per_frame"]), fontsize=7, rotation=20)
    axes.set(xlabel="megapixels", ylabel="ms a frame", xlim=(0, None), ylim=(0, None))
    axes.legend()


def peers(axes: Axes, figures: Figures) -> None:
    """Everybody's frames per second, with the people that they see beside."""
    rows = dict(reversed(figures["rows"].items()))
    names = [name.replace("`", "") for name in rows]
    colours = [OURS if name.startswith("`") else OTHERS for name in rows]
    bars = axes.barh(names, [row["fps"] for row in rows.values()], color=colours)
    axes.bar_label(bars, [f" {row['people_per_frame']:.1f} people" for row in rows.values()], fontsize=7)
    axes.set(xlabel="fps (and people seen in a frame)")
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.15)


def memory(axes: Axes, figures: Figures) -> None:
    """Peak memory by streams."""
    for name, kinds in figures["rows"].items():
        for kind, rows in kinds.items():
            style: Any = {
                "color": OURS if name.startswith("`") else OTHERS,
                "linestyle": "-" if kind == "file" else "--",
            }
            marker = "x" if "without masks" in name else "."
            label = f"{name.replace('`', '')}, {kind}s"
            axes.plot([row["streams"] for row in rows], [row["peak_mib"] for row in rows], marker, label=label, **style)
    axes.set(xlabel="streams", ylabel="peak MiB", xlim=(0, None), ylim=(0, None))
    if figures["rows"]:
        axes.legend(fontsize=7)


PLOTS: dict[str, Callable[[Axes, Figures], None]] = {
    function.__name__: function for function in (people, streams, resolution, peers, memory)
}


def draw(name: str, figures: Figures, file: Path) -> None:
    """Draw one of `PLOTS` into an SVG file."""
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained", facecolor="white")
        PLOTS[name](figure.add_subplot(), figures)
        figure.savefig(file, format="svg", metadata={"Date": None})
