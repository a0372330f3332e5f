"""`peoplestream streams`: what a running peoplestream watches, seen and changed from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

streams_app = typer.Typer(
    help="List, add, remove, change, pause and resume the streams of a run that takes commands (--control ENDPOINT).",
    no_args_is_help=True,
)

Control = Annotated[
    str, typer.Option("--control", "-c", metavar="ENDPOINT", help="Where the run takes commands: its control.endpoint.")
]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of streams.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as one JSON object.")]
ServerKey = Annotated[str | None, typer.Option(metavar="KEY", help="Public key of an encrypted run, or its .key file.")]
Keys = Annotated[Path | None, typer.Option(metavar="FILE", help="Your own pair, a .key_secret file.")]

COLOURS = {"running": "green", "failed": "red", "reconnecting": "red", "paused": "yellow"}
"""Of the states; the others are shown in grey."""


@streams_app.command("list")
def list_streams(control: Control, as_json: AsJson = False, server_key: ServerKey = None, keys: Keys = None) -> None:
    """Show every stream with its figures."""
    reply = _ask(control, server_key, keys, "list", [{}])[0]
    if as_json:
        typer.echo(json.dumps({"streams": reply["streams"]}))
    else:
        Console().print(_table(reply["streams"]) if reply["streams"] else "no stream is watched")


@streams_app.command("add")
def add_stream(
    source: Annotated[str, typer.Argument(metavar="URI", help="A file, folder, glob, testpattern://, rtsp://...")],
    control: Control,
    id_: Annotated[
        str | None, typer.Option("--id", metavar="ID", help="Its name; without it, it is named after its source.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the stream, such as pace=realtime or fps=5."),
    ] = None,
    as_json: AsJson = False,
    server_key: ServerKey = None,
    keys: Keys = None,
) -> None:
    """Watch one more stream. A relative path is one of this folder, not of the run's."""
    stream = {**_options(settings or []), "source": _absolute(source)}
    if id_ is not None:
        stream["id"] = id_
    reply = _ask(control, server_key, keys, "add", [{"stream": stream}])[0]
    typer.echo(json.dumps({"id": reply["id"]}) if as_json else f"added {reply['id']}")


@streams_app.command("change")
def change_stream(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of a stream.")],
    settings: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="Options of a stream, such as masks=false or fps=5.")
    ],
    control: Control,
    as_json: AsJson = False,
    server_key: ServerKey = None,
    keys: Keys = None,
) -> None:
    """Give a stream other options; where these are its source's, it is opened anew. No other stream notices."""
    options = _options(settings)
    if isinstance(options.get("source"), str):
        options["source"] = _absolute(options["source"])
    reply = _ask(control, server_key, keys, "change", [{"id": id_, "options": options}])[0]
    typer.echo(json.dumps({"id": reply["id"]}) if as_json else f"changed {reply['id']}")


@streams_app.command("remove")
def remove_stream(
    ids: Ids, control: Control, as_json: AsJson = False, server_key: ServerKey = None, keys: Keys = None
) -> None:
    """Watch streams no longer; their recordings are finished."""
    _each("remove", "removed", ids, control, as_json, server_key, keys)


@streams_app.command("pause")
def pause_stream(
    ids: Ids, control: Control, as_json: AsJson = False, server_key: ServerKey = None, keys: Keys = None
) -> None:
    """Process nothing of streams until they are resumed; feeds stay connected."""
    _each("pause", "paused", ids, control, as_json, server_key, keys)


@streams_app.command("resume")
def resume_stream(
    ids: Ids, control: Control, as_json: AsJson = False, server_key: ServerKey = None, keys: Keys = None
) -> None:
    """Go on with streams that are paused."""
    _each("resume", "resumed", ids, control, as_json, server_key, keys)


def _each(
    command: str, done: str, ids: list[str], control: str, as_json: bool, server_key: str | None, keys: Path | None
) -> None:
    replies = _ask(control, server_key, keys, command, [{"id": id_} for id_ in ids])
    changed = [reply["id"] for reply in replies]
    typer.echo(json.dumps({"ids": changed}) if as_json else f"{done} {', '.join(changed)}")


def _ask(
    control: str, server_key: str | None, keys: Path | None, command: str, requests: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    from stream.control import ControlClient
    from stream.wire.security import Credentials

    with ControlClient(control, credentials=Credentials.of(server_key, keys)) as client:
        return [client.ask(command, **request) for request in requests]


def _options(settings: list[str]) -> dict[str, Any]:
    """`key=value` with the value in YAML, as for `run --set`; what may be a key, the run knows."""
    import yaml

    from stream.cli.errors import CommandError, ExitCode

    options = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not (equals and key):
            raise CommandError(f"{setting!r} must look like option=value, such as fps=5", ExitCode.USAGE)
        try:
            options[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise CommandError(f"{key}: its value is no YAML", ExitCode.USAGE) from None
    return options


def _absolute(source: str) -> str:
    from stream.uri import relative_to

    return relative_to(Path.cwd(), source)


def _table(streams: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("stream", "state", "source"):
        table.add_column(column)
    for column in ("fps in", "fps out", "ms (95 %)", "people", "dropped", "reconnects"):
        table.add_column(column, justify="right")
    for stream in streams:
        state = stream["state"] + (f": {stream['reason']}" if stream["reason"] else "")
        table.add_row(
            stream["id"],
            f"[{COLOURS.get(stream['state'], 'dim')}]{escape(state)}[/]",
            escape(stream["source"]),
            f"{stream['fps_in']:.1f}",
            f"{stream['fps_out']:.1f}",
            f"{stream['latency_ms']['p95']:.0f}",
            str(stream["people"]),
            ", ".join(f"{frames} ({reason})" for reason, frames in stream["dropped"].items()) or "0",
            str(stream["reconnects"]),
        )
    return table
