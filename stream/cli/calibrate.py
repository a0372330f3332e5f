"""`peoplestream models calibrate`: a network in int8, kept if it stays accurate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track as show_progress

from stream.cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from models.evaluate.coco import CocoImage


def calibrate_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that 'peoplestream models list' shows.")],
    images: Annotated[Path, typer.Option(metavar="DIR", help="The folder with the pictures to learn from.")],
    annotations: Annotated[
        Path, typer.Option(metavar="FILE", help="COCO person_keypoints annotations that list them.")
    ],
    check_images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder with the pictures to check on; by default the same.")
    ] = None,
    check_annotations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Their annotations; without, every other picture is kept for the check."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one option, such as detector.height=640."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; fractions, not percent.")] = False,
) -> None:
    """Quantise a network to int8 on your pictures; keep it if it is faster and loses at most .01 AP to float32.

    Runs with `precision: auto` or `int8` take it from then on: with these weights and this size of input, on this
    machine. Any camera's own pictures are the best ones. Exits 1, and keeps nothing, where it loses more.
    """
    from models.evaluate.coco import CocoPersons
    from models.zoo import load_zoo
    from stream.measuring.calibration import calibrate
    from stream.settings import load_config

    if check_images is not None and check_annotations is None:
        raise CommandError("--check-images needs --check-annotations, which lists what is in them", ExitCode.USAGE)
    role = load_zoo().entry(name).role
    config = load_config(None, [*(settings or []), f"{role}.model={json.dumps(name)}"])
    labelled = CocoPersons(annotations, images)
    if check_annotations is None:
        pictures, check = labelled.images[::2], labelled.only(labelled.images[1::2])
    else:
        pictures, check = labelled.images, CocoPersons(check_annotations, check_images or images)
    console = Console(stderr=True)

    def show(images: Iterable[CocoImage], what: str) -> Iterable[CocoImage]:
        return show_progress(list(images), what, console=console)

    finding = calibrate(config, role, pictures, check, show=show)
    if as_json:
        typer.echo(json.dumps({"model": name, **asdict(finding), "loss": round(finding.loss, 4)}))
        return
    typer.echo(f"{name} is kept in int8: {finding}")
