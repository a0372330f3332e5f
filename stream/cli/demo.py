"""`peoplestream demo`: the whole graph on a real video of people, from nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

VIDEO = "vtest"
"""The asset of the zoo that the demo watches."""


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the video and the results go.")] = Path("out"),
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, metavar="SECONDS", help="Watch only so much of the video; all of it by default."),
    ] = None,
    publish: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Publish results there too, such as tcp://127.0.0.1:5555.")
    ] = None,
    wait_subscribers: Annotated[
        int, typer.Option(metavar="N", help="With --publish: begin when N subscribers have joined.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """See it work: people walking across a car park get ids, keypoints and masks.

    The first time it fetches the networks' weights and the video (about 65 MB) and keeps them; after that no network is
    needed. It leaves DIR/vtest.mp4 to look at and DIR/vtest.jsonl, one line a frame, to work with.
    """
    from models.weights import fetch
    from models.zoo import load_zoo
    from stream.cli.downloads import downloading
    from stream.cli.report import show_summary
    from stream.cli.running import check, run_pipeline
    from stream.settings import load_config

    console = Console(stderr=True)
    zoo = load_zoo()
    with downloading(console) as progress:
        for entry in zoo.defaults:
            fetch(entry, progress=progress)
        video = fetch(zoo.find(VIDEO), progress=progress)
    overrides = [f"record.dir={json.dumps(str(out))}", f"publish.wait_subscribers={wait_subscribers}"]
    if publish is not None:
        overrides.append(f"publish.endpoint={json.dumps(publish)}")
    summary = run_pipeline(load_config(None, overrides, [str(video)]), seconds, console, live=not as_json)
    if as_json:
        typer.echo(json.dumps(summary.as_json()))
    else:
        show_summary(console, summary)
    check(summary)
