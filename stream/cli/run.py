"""`peoplestream run`: watch streams until they end or somebody says stop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stream.cli.errors import CommandError, ExitCode


def run(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Argument(help="Configuration file; `peoplestream config show --defaults` prints one.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            "-s",
            metavar="URI",
            help="A video file, an image, a folder or glob of images, testpattern://640x480@25, rtsp://... "
            "Give it several times for several streams.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one option, such as detector.score=0.3."),
    ] = None,
    publish: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Publish results there, such as tcp://127.0.0.1:5555.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Record JSONL and an overlay video of every stream there.")
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            metavar="ENDPOINT",
            help="Take commands there (peoplestream streams), such as tcp://127.0.0.1:5556; goes on without streams.",
        ),
    ] = None,
    web: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Show the live page there, such as 127.0.0.1:8080.")
    ] = None,
    duration: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = None,
    wait_subscribers: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Begin when N subscribers have joined.")
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Publish where other machines listen, without keys: anybody may read, nobody give commands.",
        ),
    ] = False,
    gpus: Annotated[
        str | None,
        typer.Option(
            metavar="LIST", help="Share the streams among these GPUs, such as 0,1: a process for each; 0,0: two on one."
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--shard", metavar="INDEX/COUNT", help="Watch this part of the streams alone, such as 0/2."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Watch streams: find people, follow them, publish and record what is seen.

    peoplestream run --source lobby.mp4 --record out

    peoplestream run cameras.yaml --publish tcp://127.0.0.1:5555

    ctrl-C ends it: frames under way are finished and recordings are closed. A second ctrl-C leaves at once.
    """
    from stream.cli.report import show_summary
    from stream.cli.running import check, run_pipeline
    from stream.cli.workers import parse_shard, run_on_gpus
    from stream.settings import load_config
    from stream.sharding import shard

    overrides = _overrides(settings, publish, record, control, web, wait_subscribers, insecure)
    configuration = load_config(config, overrides, source or [])
    if part is not None:
        configuration = shard(configuration, *parse_shard(part))
    if not configuration.streams and not configuration.keeps_running:
        raise CommandError(
            "no stream to watch: name one with --source URI, or list `streams` in a configuration file", ExitCode.USAGE
        )
    flags = context.find_root().params
    console = Console(stderr=True, quiet=flags.get("quiet", False) or flags.get("log_json", False))
    if gpus is not None:
        same = [
            *([] if config is None else [str(config)]),
            *_repeated("--source", source),
            *_repeated("--set", overrides),
        ]
        same += [] if duration is None else ["--duration", str(duration)]
        options = [f"--{name.replace('_', '-')}" for name in ("debug", "quiet", "log_json") if flags.get(name)]
        summaries = run_on_gpus(gpus, configuration, options, same, console)
        if as_json:
            typer.echo(json.dumps({"gpus": summaries}))
        return
    summary = run_pipeline(configuration, duration, console, live=not as_json)
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    else:
        show_summary(console, summary)
    check(summary)


def _overrides(
    settings: Sequence[str] | None,
    publish: str | None,
    record: Path | None,
    control: str | None,
    web: str | None,
    wait_subscribers: int | None,
    insecure: bool,
) -> list[str]:
    """The options of the command line that are options of the configuration, as `--set` takes them."""
    named = {
        "publish.endpoint": publish,
        "record.dir": None if record is None else str(record),
        "control.endpoint": control,
        "web.address": web,
        "publish.wait_subscribers": wait_subscribers,
        "security.insecure": insecure or None,
    }
    return [*(settings or []), *(f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None)]


def _repeated(option: str, values: Sequence[str] | None) -> list[str]:
    return [argument for value in values or () for argument in (option, value)]
