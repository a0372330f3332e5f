"""The command `peoplestream`: its sub-commands, and what becomes of their errors."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from stream.cli.bench import bench_app
from stream.cli.config import config_app
from stream.cli.demo import demo
from stream.cli.doctor import doctor
from stream.cli.errors import ExitCode, exit_code
from stream.cli.evaluate import evaluate_app
from stream.cli.keys import keys_app
from stream.cli.logs import set_up_logging
from stream.cli.models import models_app
from stream.cli.run import run
from stream.cli.streams import streams_app
from stream.cli.watch import watch

app = typer.Typer(
    name="peoplestream",
    help="Watch people in many video streams at once: ids, 17 keypoints and masks, live, over ZeroMQ.",
    epilog="Start with: peoplestream demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.command("demo")(demo)
app.command("run")(run)
app.command("watch")(watch)
app.add_typer(streams_app, name="streams")
app.add_typer(models_app, name="models")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(bench_app, name="bench")
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")
app.command("doctor")(doctor)

log = logging.getLogger("peoplestream")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("peoplestream"))
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show every log line, and tracebacks of errors.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Log errors only; a run reports nothing else.")] = False,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write log lines as JSON objects; a run reports nothing else.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Set up logging before any command runs."""
    set_up_logging(debug=debug, quiet=quiet, as_json=log_json)


def main() -> None:
    """Run the command of this process's arguments and leave with its exit code."""
    try:
        app()  # leaves with 0, or with 2 after it has explained a usage error
    except BrokenPipeError:  # the reader of our output has seen enough
        sys.exit(ExitCode.FINE)
    except Exception as error:
        if "--debug" in sys.argv:
            log.exception("%s", error)
        else:
            sys.stderr.write(f"peoplestream: {_sentence(error)}\n")
        sys.exit(exit_code(error))


def _sentence(error: BaseException) -> str:
    message = str(error).strip()
    known = exit_code(error) != ExitCode.FAILED or type(error).__module__.split(".")[0] in ("stream", "models")
    if known and message:
        return message
    return f"unexpected {type(error).__name__}: {message or 'no message'} (--debug shows where)"
