"""`peoplestream config`: check, show and explain configurations."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from stream.config import Config, ConfigError
from stream.settings import default_text, effective, effective_text, load_config

config_app = typer.Typer(help="Check, show and explain configurations.", no_args_is_help=True)

_USAGE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Source = Annotated[list[str], typer.Option("--source", help="Add a stream from this path or URI.")]
Set = Annotated[list[str], typer.Option("--set", help="Set one option: decode.threads=2, streams.0.fps=5.")]
OptionalFile = Annotated[Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="A file; without: the defaults.")]


@config_app.command()
def check(file: Annotated[Path, typer.Argument(metavar="CONFIG.yaml")], as_json: AsJson = False) -> None:
    """Tell everything that is wrong with a file, each with its line; exits 2 when anything is."""
    try:
        config = load_config(file)
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "problems": [asdict(problem) for problem in error.problems]}, indent=2))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE) from None
    ids = [stream.id for stream in config.streams]
    if as_json:
        typer.echo(json.dumps({"ok": True, "streams": ids}, indent=2))
    else:
        count = "1 stream" if len(ids) == 1 else f"{len(ids)} streams"
        typer.echo(f"ok: {file}, {count}" + (f": {', '.join(ids)}" if ids else ""))


@config_app.command()
def show(
    file: OptionalFile = None,
    source: Source = [],  # noqa: B006 - typer reads the default and makes a list of its own
    set_: Set = [],  # noqa: B006
    defaults: Annotated[bool, typer.Option("--defaults", help="Print the defaults, every option explained.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the configuration that a run would use, credentials left out; with --defaults: one to start from."""
    if defaults:
        if file or source or set_ or as_json:
            raise typer.BadParameter("prints the defaults alone, as YAML", param_hint="--defaults")
        typer.echo(default_text(), nl=False)
        return
    config = load_config(file, set_, source, here=False)
    typer.echo(json.dumps(effective(config), indent=2) if as_json else effective_text(config), nl=as_json)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of a configuration file, for editors that complete and check YAML."""
    typer.echo(json.dumps(Config.model_json_schema(), indent=2))
