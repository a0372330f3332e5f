"""Progress bars of downloads, on a terminal; elsewhere the log says what is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from models.weights import Progress as Tell
from models.weights import Received


@contextmanager
def downloading(console: Console) -> Iterator[Tell]:
    """Gives the `progress` for `models.weights.fetch`: one bar for each file, gone at the end."""
    bars = Progress(
        TextColumn("[bold]{task.description}[/]"),
        BarColumn(bar_width=30),
        DownloadColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("[dim]{task.fields[source]}[/]"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def show(received: Received) -> None:
        if received.name not in tasks:
            tasks[received.name] = bars.add_task(received.name, source="")
        bars.update(tasks[received.name], completed=received.done, total=received.total, source=received.source)

    with bars:
        yield show
