"""`peoplestream models`: what the zoo has, where it comes from, and what of it is on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.console import Console
from rich.table import Table

from models.errors import WeightsError
from models.weights import CACHE_VARIABLE, State, cache_dir, fetch, path_of, state
from models.zoo import Entry, Figure, ModelEntry, Role, Zoo, load_zoo
from stream.cli.calibrate import calibrate_model
from stream.cli.downloads import downloading
from stream.cli.engines import compile_models, engines

models_app = typer.Typer(
    help="The zoo of pretrained models: see what there is, fetch it, check it.\n\n"
    "Files are fetched once, on first use or with [bold]pull[/], verified by their sha256, and kept in a cache; after "
    "that no network is needed.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

models_app.command("compile")(compile_models)
models_app.command("engines")(engines)
models_app.command("calibrate")(calibrate_model)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that 'peoplestream models list' shows.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Names; without: all that was fetched.")]
Cache = Annotated[
    Path | None,
    typer.Option("--cache", metavar="DIR", help=f"Folder of the cache, else ${CACHE_VARIABLE}, else the system's own."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

STATES: dict[State, str] = {
    "present": "[green]yes[/]",
    "absent": "no",
    "corrupt": "[red]damaged[/]",
    "unpublished": "no ‡",
    "needless": "needs none",
}


@models_app.command("list")
def list_models(cache: Cache = None, as_json: AsJson = False) -> None:
    """List every model by role, with licence, size, whether it is on this machine, and its published accuracy."""
    zoo = load_zoo()
    if as_json:
        typer.echo(json.dumps([_summary(entry, cache) for entry in zoo.entries], indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("name", "role", "licence", "size", "here", "published accuracy"):
        table.add_column(column, justify="right" if column == "size" else "left", no_wrap=column == "name")
    for entry in sorted(zoo.entries, key=_rank):
        table.add_row(
            f"{entry.name} *" if entry in zoo.defaults else entry.name,
            _role(entry),
            entry.licence,
            "-" if not entry.file else "?" if entry.size is None else _size(entry),
            STATES[state(entry, cache)] + (" †" if entry.published and not entry.on_index else ""),
            ", ".join(f"{figure.metric} {figure.value:.3f}" for figure in _accuracy(entry)),
        )
    console = Console()
    console.print(table)
    console.print(
        "\n* in the default pipeline. † only on its official server, not on the package index. "
        "‡ no address is known: "
        f"give your own file with 'weights: PATH'. The cache is {cache_dir(cache)}.\n"
        "'peoplestream models show NAME' tells where a model comes from, and what may be done with it.",
        highlight=False,
    )


@models_app.command()
def show(name: Name, cache: Cache = None, as_json: AsJson = False) -> None:
    """Tell all about one model: who trained it on what, its licence, its sources, and where its file lies."""
    entry = load_zoo().find(name)
    if as_json:
        typer.echo(json.dumps(entry.model_dump(mode="json") | _summary(entry, cache), indent=2))
        return
    rows = {"name": entry.name, "role": _role(entry)}
    if isinstance(entry, ModelEntry):
        arguments = ", ".join(f"{key} {value}" for key, value in entry.arguments.items())
        rows |= {
            "network": f"{entry.architecture} ({arguments})",
            "accuracy": "\n".join(f"{figure.metric} {figure.value:.3f} ({figure.data})" for figure in entry.accuracy)
            or "none published",
        }
    rows |= {
        "licence": entry.licence,
        "made by": entry.provenance,
        "file": f"{entry.file}, {_size(entry)}" if entry.file else "needs none",
        "sha256": _digest(entry),
        "sources": "\n".join(str(source) for source in entry.sources) or "no address is known; 'made by' may say more",
        "here": _here(entry, cache),
        "path": str(path_of(entry, cache)),
    }
    if not entry.file:
        rows = {what: value for what, value in rows.items() if what not in ("sha256", "sources", "here", "path")}
    for what, value in rows.items():
        typer.echo(f"{what:<10}" + value.replace("\n", "\n" + 10 * " "))


@models_app.command()
def pull(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="What to fetch.")] = None,
    all_default: Annotated[
        bool,
        typer.Option(
            "--all-default", help="Fetch the models of the default pipeline, for a machine that will be offline."
        ),
    ] = False,
    cache: Cache = None,
) -> None:
    """Fetch files into the cache and print their paths; what is there already is only verified.

    A broken download goes on where it stopped. The official server is asked first, then the package index, where an
    archive holds the same bytes.
    """
    zoo = load_zoo()
    entries = [*(zoo.defaults if all_default else ()), *(zoo.find(name) for name in names or ())]
    if not entries:
        raise typer.BadParameter("say what to fetch: names, or --all-default", param_hint="NAME")
    failures = []
    with downloading(Console(stderr=True)) as progress:
        for entry in entries:
            try:
                typer.echo(fetch(entry, cache, progress))
            except WeightsError as error:
                failures.append(str(error))
    if failures:
        raise WeightsError("\n".join(failures))


@models_app.command()
def verify(names: Names = None, cache: Cache = None, as_json: AsJson = False) -> None:
    """Compare files in the cache with the sha256 that they should have.

    Exits 4 when one is damaged, or named and missing. Without names, an empty cache is fine.
    """
    zoo = load_zoo()
    states = {entry.name: state(entry, cache) for entry in _chosen(zoo, names, cache)}
    if as_json:
        typer.echo(json.dumps([{"name": name, "state": found} for name, found in states.items()], indent=2))
    else:
        for name, found in states.items():
            typer.echo(f"{found:<8} {name}")
        if not states:
            typer.echo(f"nothing was fetched yet; the cache is {cache_dir(cache)}")
    if bad := [name for name, found in states.items() if found != "present"]:
        raise WeightsError(
            f"not as they should be: {', '.join(bad)}; fetch with 'peoplestream models pull {' '.join(bad)}'"
        )


def _chosen(zoo: Zoo, names: list[str] | None, cache: Path | None) -> list[Entry]:
    if names:
        return [zoo.find(name) for name in names]
    return [entry for entry in zoo.entries if entry.file and path_of(entry, cache).exists()]


def _summary(entry: Entry, cache: Path | None) -> dict[str, Any]:
    return {
        "name": entry.name,
        "role": _role(entry),
        "licence": entry.licence,
        "size": entry.size,
        "state": state(entry, cache),
        "path": str(path_of(entry, cache)) if entry.file else None,
        "on_package_index": entry.on_index,
        "default": isinstance(entry, ModelEntry) and entry.default,
        "accuracy": [figure.model_dump() for figure in _accuracy(entry)],
    }


def _role(entry: Entry) -> str:
    return " + ".join((entry.role, *entry.gives)) if isinstance(entry, ModelEntry) else "asset"


def _digest(entry: Entry) -> str:
    if entry.sha256_prefix:
        return f"{entry.sha256_prefix}... (only these digits are published)"
    return entry.sha256 or f"unknown: {entry.unhashed or 'no address of the file is known'}"


def _here(entry: Entry, cache: Path | None) -> str:
    found = state(entry, cache)
    if found == "absent":
        pull = f"weights not present: pull with 'peoplestream models pull {entry.name}'"
        return pull + ("" if entry.on_index else " (only its official server has it)")
    if found == "unpublished":
        return "weights not present: give your own with 'weights: PATH'"
    return "damaged" if found == "corrupt" else found


def _rank(entry: Entry) -> int:
    """Where its role comes in a list."""
    return get_args(Role).index(entry.role) if isinstance(entry, ModelEntry) else len(get_args(Role))


def _size(entry: Entry) -> str:
    return "size unknown" if entry.size is None else f"{entry.size / 1e6:.1f} MB"


def _accuracy(entry: Entry) -> tuple[Figure, ...]:
    return entry.accuracy if isinstance(entry, ModelEntry) else ()
