"""What a run shows to a person: the choices before it, the streams while it goes on, the figures after it."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from stream.pipeline import Pipeline
from stream.state import Health
from stream.summary import RunSummary

STAGES = {
    "detect": "find people",
    "pose": "keypoints",
    "masks": "masks",
    "track": "ids",
    "follow": "follow keypoints",
    "publish": "publish",
    "record": "draw and record",
}
"""Stages of the graph in the words of the summary."""

_HEALTH: dict[Health, str] = {
    "opening": "[dim]opening[/]",
    "reconnecting": "[red]reconnecting[/]",
    "paused": "[yellow]paused[/]",
    "ended": "[green]done[/]",
    "failed": "[red]failed[/]",
}

ROLES = {"detector": "people", "pose": "keypoints", "masks": "masks"}


def show_choices(console: Console, pipeline: Pipeline) -> None:
    """Say which network, or which part of one that has several, runs how, and why."""
    for name, choice in pipeline.assembly.choices.items():
        role, _, part = name.partition("/")
        model = f"{pipeline.assembly.models[role]}, {part}" if part else pipeline.assembly.models[role]
        console.print(
            f"[bold]{ROLES[role]:>10}[/]  {model} on {choice.backend}, {choice.precision} [dim]({choice.reason})[/]",
            highlight=False,
        )
    why = pipeline.decodes_in_software
    where = "on the GPU (NVDEC)" if why is None else f"on the processor [dim]({escape(why)})[/]"
    console.print(f"[bold]{'decoding':>10}[/]  {where}", highlight=False)


class LiveView:
    """One line per stream, refreshed in place; nothing where it is not enabled or nobody sees it."""

    def __init__(self, pipeline: Pipeline, console: Console, *, enabled: bool) -> None:
        self._pipeline = pipeline
        self._progress = Progress(
            TextColumn("[bold]{task.fields[name]:>10}[/]"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[what]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not enabled or not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def refresh(self) -> None:
        """Show the figures of now."""
        streams = self._pipeline.streams
        for gone in [id_ for id_ in self._tasks if id_ not in streams]:
            self._progress.remove_task(self._tasks.pop(gone))
        for id_, state in streams.items():
            if id_ not in self._tasks:
                self._tasks[id_] = self._progress.add_task("", total=None, name=id_, what="opening")
            total = state.info.frames if state.info and state.info.frames else None
            frames = state.delivered
            people = self._pipeline.metrics.counted("people", id_) / frames if frames else 0.0
            what = f"{frames} frames, {state.fps_out.rate:.1f} fps, {people:.1f} people a frame" if frames else ""
            if state.health != "running":
                reason = escape(state.error or state.trouble or "")
                what = ", ".join(filter(None, (_HEALTH[state.health], reason, what)))
            self._progress.update(self._tasks[id_], total=total, completed=frames, what=what)


def show_summary(console: Console, summary: RunSummary) -> None:
    """The figures of a run that has ended; nothing where there are none."""
    if not summary.frames:
        return
    console.print(Group(_streams(summary), "", _stages(summary), "", _sentence(summary)))
    for path in summary.recorded:
        console.print(f"  [green]wrote[/] {path}", highlight=False, soft_wrap=True)


def _streams(summary: RunSummary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stream")
    for column in ("frames", "people a frame", "persons", "dropped"):
        table.add_column(column, justify="right")
    table.add_column("")
    for stream in summary.streams:
        per_frame = stream.people / stream.frames if stream.frames else 0.0
        dropped = ", ".join(f"{frames} ({reason})" for reason, frames in stream.dropped.items()) or "0"
        notes = [stream.error] if stream.error else []
        if stream.overruns:
            notes.append(f"a subscriber was too slow {stream.overruns} times")
        if stream.put_off:
            notes.append("put off: " + ", ".join(f"{pieces} {work}" for work, pieces in stream.put_off.items()))
        if stream.fallbacks:
            notes.append(f"decoded on the processor: {stream.decoder_reason}")
        table.add_row(
            stream.stream,
            str(stream.frames),
            f"{per_frame:.1f}",
            str(stream.ids),
            dropped,
            f"[red]{escape('; '.join(notes))}[/]" if notes else "",
        )
    return table


def _stages(summary: RunSummary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage")
    table.add_column("ms a frame", justify="right")
    table.add_column("of which the network", justify="right")
    roles = {"detect": "detector", "pose": "pose", "masks": "masks"}
    for stage, words in STAGES.items():
        if stage not in summary.stages or not summary.frames:
            continue
        series = summary.stages[stage]
        parts = [
            of.total_ms for name, of in summary.stages.items() if name.split("/")[:2] == ["model", roles.get(stage)]
        ]
        table.add_row(
            words,
            f"{series.total_ms / summary.frames:.2f}",
            f"{sum(parts) / summary.frames:.2f}" if parts else "",
        )
    return table


def _sentence(summary: RunSummary) -> str:
    return (
        f"[bold]{summary.fps:.1f} frames per second[/] on {summary.threads} threads with "
        f"{summary.people_per_frame:.1f} people a frame; from a decoded frame to its result, waiting included, "
        f"{summary.latency.p50_ms:.0f} ms (half of the frames), {summary.latency.p95_ms:.0f} ms (95 %)"
    )
