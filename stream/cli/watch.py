"""`peoplestream watch`: see what a publisher sends, as a table for people or as JSON lines for programs."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from stream.cli.errors import CommandError, ExitCode
from stream.wire import EndpointError, FrameResult, StreamStatus, Subscriber, to_json

_REFRESH = 0.25
"""Seconds between two pictures of the table."""

_RECENT = 3.0
"""Seconds over which frames per second are counted."""

_SILENT = 2.0
"""Seconds without a frame after which a stream is called silent."""


@dataclass(slots=True)
class _Figures:
    """What the table says of one stream; times are seconds of the monotonic clock, delays of the wall clock."""

    frames: int = 0
    first: float = 0.0
    arrivals: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    size: str = ""
    people: int = 0
    since_capture: float | None = None
    since_publish: float = 0.0

    def take(self, result: FrameResult) -> None:
        now = time.time()
        self.arrivals.append(time.monotonic())
        self.first = self.first if self.frames else self.arrivals[-1]
        self.frames += 1
        self.size = f"{result.width} x {result.height}"
        self.people = len(result.people)
        self.since_publish = now - result.published_at
        self.since_capture = None if result.clock == "file" else now - result.captured_at

    def fps(self, now: float, *, over: bool) -> float:
        """Frames per second of late or, of a stream that is `over`, of all its life."""
        if over:
            return _rate(self.frames, self.first, self.arrivals[-1]) if self.arrivals else 0.0
        recent = [arrival for arrival in self.arrivals if now - arrival < _RECENT]
        return _rate(len(recent), recent[0], recent[-1]) if recent else 0.0

    def silence(self, now: float) -> float:
        return now - self.arrivals[-1] if self.arrivals else 0.0


def _rate(frames: int, first: float, last: float) -> float:
    return (frames - 1) / (last - first) if last > first else 0.0


def watch(
    endpoint: Annotated[str, typer.Argument(help="Where results are published, such as tcp://127.0.0.1:5555.")],
    stream: Annotated[
        list[str] | None,
        typer.Option("--stream", metavar="ID", help="Watch this stream alone; give it several times for several."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per frame and line.")] = False,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="Leave after N frames.")] = None,
    server_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="Public key of an encrypted publisher, or its .key file.")
    ] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FILE", help="Your own pair, a .key_secret file.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Give up when no first frame comes within this time.")
    ] = 10.0,
) -> None:
    """Watch what a publisher sends: who is where, how fast frames come, how old they are, how many were lost.

    peoplestream watch tcp://127.0.0.1:5555

    peoplestream watch tcp://127.0.0.1:5555 --stream lobby --json > lobby.jsonl

    It ends when every stream has ended, after --count frames, or with ctrl-C.
    """
    figures: dict[str, _Figures] = {}
    console = Console(stderr=as_json)
    try:
        subscriber = Subscriber(endpoint, stream or None, until_end=True, server_key=server_key, keys=keys)
    except EndpointError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    with subscriber as results:
        try:
            if as_json:
                _follow(results, figures, count, timeout, None)
            else:
                with Live(_table(results, figures), console=console, auto_refresh=False) as live:
                    _follow(results, figures, count, timeout, live)
        except KeyboardInterrupt:
            pass  # the usual way to leave
        finally:
            if not as_json and not console.is_terminal:
                console.print()  # in a file or pipe, rich leaves the last line open
        if as_json and results.lost.total():
            lost = ", ".join(f"{name} {frames}" for name, frames in results.lost.items() if frames)
            console.print(f"frames lost: {lost}", highlight=False)


def _follow(
    results: Subscriber, figures: dict[str, _Figures], count: int | None, timeout: float, live: Live | None
) -> None:
    """Show frames until the last one; without a table, print them."""
    deadline = time.monotonic() + timeout
    received, drawn = 0, 0.0
    while received != count and not results.ended:
        result = results.receive(_REFRESH)
        if result is not None:
            received += 1
            figures.setdefault(result.stream, _Figures()).take(result)
            if live is None:
                sys.stdout.write(to_json(result) + "\n")
                sys.stdout.flush()
        elif received == 0 and time.monotonic() > deadline:
            break
        if live is not None and time.monotonic() - drawn >= _REFRESH:
            live.update(_table(results, figures), refresh=True)
            drawn = time.monotonic()
    if live is not None:
        live.update(_table(results, figures), refresh=True)
    if received == 0:
        raise CommandError(_nothing(results, timeout), ExitCode.NO_FRAMES)


def _nothing(results: Subscriber, timeout: float) -> str:
    if results.ended:
        return f"every stream at {results.endpoint} has ended already"
    if results.infos:
        return f"{', '.join(sorted(results.infos))} at {results.endpoint} sent no frame within {timeout:g} s"
    return (
        f"nothing came from {results.endpoint} within {timeout:g} s: "
        "does a `peoplestream run --publish` send there, and has it a stream of that name?"
    )


def _table(results: Subscriber, figures: dict[str, _Figures]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", caption_justify="left")
    table.add_column("stream")
    table.add_column("state")
    for column in ("size", "frames", "fps", "people", "latency ms", "wire ms", "lost"):
        table.add_column(column, justify="right")
    table.add_column("")
    now = time.monotonic()
    for name in sorted({*figures, *results.infos, *results.statuses}):
        seen, status = figures.get(name, _Figures()), results.statuses.get(name)
        table.add_row(
            f"[bold]{name}[/]",
            _state(status, seen.silence(now)),
            seen.size,
            str(seen.frames),
            f"{seen.fps(now, over=status is not None and status.state in ('ended', 'failed')):.1f}",
            str(seen.people),
            "" if seen.since_capture is None else f"{seen.since_capture * 1e3:.0f}",
            f"{seen.since_publish * 1e3:.1f}" if seen.frames else "",
            f"[red]{results.lost[name]}[/]" if results.lost[name] else "0",
            f"[dim]{escape(status.reason)}[/]" if status else "",
        )
    if not table.rows:
        table.caption = f"waiting for {results.endpoint} ..."
    return table


def _state(status: StreamStatus | None, silence: float) -> str:
    if status is not None and status.state != "running":
        return f"[{'red' if status.state == 'failed' else 'yellow'}]{escape(status.state)}[/]"
    return f"[red]silent for {silence:.0f} s[/]" if silence > _SILENT else "[green]running[/]"
