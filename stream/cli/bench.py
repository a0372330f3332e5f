"""`peoplestream bench`: how fast this machine is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from stream.config import Config

bench_app = typer.Typer(
    help="Measure how fast this machine is. Figures of one command belong together; compare no two runs by eye.",
    no_args_is_help=True,
)
console = Console(stderr=True)

Sources = Annotated[
    list[str] | None, typer.Option("--source", "-s", metavar="URI", help="What to watch; the demo video by default.")
]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one option.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@bench_app.command("pipeline")
def pipeline(
    file: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="A configuration; without: the defaults.")
    ] = None,
    source: Sources = None,
    settings: Settings = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", metavar="FILE", help="Write what every thread did when, for Perfetto.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The whole chain on a video, and the networks alone on the same batches: what the rest costs is `overhead`."""
    from stream.cli.report import show_summary
    from stream.cli.running import check
    from stream.measuring.bench import bench_pipeline

    if trace is not None:
        _check_file(trace)
    config = _configure(source, settings, file)
    with console.status("running ..."):
        summary, figures = bench_pipeline(config, trace=trace)
    if as_json:
        typer.echo(json.dumps(figures))
    else:
        show_summary(console, summary)
        if summary.frames:
            parts = ", ".join(f"{role} {ms:.1f}" for role, ms in figures["model_ms"].items())
            console.print(
                f"{figures['frame_ms']:.1f} ms a frame; the networks alone {sum(figures['model_ms'].values()):.1f} ms "
                f"({parts}); ratio {figures['overhead']:.2f}",
                highlight=False,
            )
    check(summary)


@bench_app.command("decode")
def decode(
    source: Sources = None,
    frames: Annotated[int, typer.Option(min=1, help="Read at most so many frames.")] = 500,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Reading and decoding a video to pixels, and nothing else."""
    from stream.measuring.bench import bench_decode

    _show(bench_decode(_configure(source, settings), frames), as_json)


@bench_app.command("infer")
def infer(settings: Settings = None, as_json: AsJson = False) -> None:
    """Each network alone, by batch size: milliseconds an image, or a person."""
    from stream.measuring.bench import bench_infer

    _show(bench_infer(_configure(["testpattern://640x480@25"], settings)), as_json)


@bench_app.command("tracker")
def tracker(settings: Settings = None, as_json: AsJson = False) -> None:
    """The tracker alone on made-up people: microseconds a frame."""
    from stream.measuring.bench import bench_tracker

    _show(bench_tracker(_configure(["testpattern://640x480@25"], settings)), as_json)


@bench_app.command("wire")
def wire(as_json: AsJson = False) -> None:
    """Encoding and decoding a message: bytes and microseconds, by people in it."""
    from stream.measuring.bench import bench_wire

    _show(bench_wire(), as_json)


def _configure(sources: list[str] | None, settings: list[str] | None, file: Path | None = None) -> Config:
    from models.weights import fetch
    from models.zoo import load_zoo
    from stream.cli.demo import VIDEO
    from stream.settings import load_config

    if not sources and not (file and load_config(file).streams):
        sources = [str(fetch(load_zoo().find(VIDEO)))]
    return load_config(file, settings or [], sources or [])


def _check_file(path: Path) -> None:
    """Say that a file cannot be written before the work for it is done, and not after."""
    from stream.cli.errors import CommandError, ExitCode

    try:
        path.open("ab").close()
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror}; choose another file", ExitCode.USAGE) from None


def _show(figures: dict[str, Any], as_json: bool) -> None:
    typer.echo(json.dumps(figures)) if as_json else Console().print_json(data=figures)
