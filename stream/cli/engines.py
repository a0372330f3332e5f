"""`peoplestream models compile` and `models engines`: networks compiled ahead of time, and those that are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status

from models.backends.cache import Build, Engine, EngineCache, EngineKey, Record

if TYPE_CHECKING:
    from stream.assembly import Assembly

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One network of a configuration.

    Attributes:
        role: "detector", "pose" or "masks", with "/part" where it has several networks. model: name in the zoo.
        backend, precision, device: what serves. error: relative, of its outputs against eager float32.
        seconds: that it took to get ready. fresh: whether it was compiled just now.
        size: bytes of its engine; None where this backend keeps none. folder: where that lies.
        reason: why this one. refused: why not the others.
    """

    role: str
    model: str
    backend: str
    precision: str
    device: str
    error: float
    seconds: float | None
    fresh: bool
    size: int | None
    folder: str | None
    reason: str
    refused: tuple[str, ...]


class _Watched(EngineCache):
    """Shows what is being compiled, and remembers what was asked for: name -> engine and seconds."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.seen: dict[str, tuple[Engine, float]] = {}
        self._status = status

    def get_or_build(self, name: str, key: EngineKey, build: Build) -> Engine:
        began = time.monotonic()

        def shown(folder: Path) -> Mapping[str, object]:
            self._status.update(f"compiling {name} (since {time.strftime('%H:%M:%S')})")
            return build(folder)

        engine = super().get_or_build(name, key, shown)
        self.seen[name] = engine, time.monotonic() - began
        return engine


def compile_models(
    file: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Whose networks to compile; without: the defaults'.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one option, such as detector.backend=tensorrt."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compile what a configuration needs, so that its first start does not have to; say what serves, and why.

    What is compiled already is only checked. Engines fit this machine alone: run it where the networks are to run.
    """
    from stream.assembly import assemble
    from stream.cli.downloads import downloading
    from stream.metrics import Metrics
    from stream.settings import load_config

    config = load_config(file, settings or [], [], here=False)
    console = Console(stderr=True)
    with console.status("getting ready") as status, downloading(console) as progress:
        engines = _Watched(status)
        assembly = assemble(config, Metrics(), progress, engines=engines)
    rows = _rows(assembly, engines)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=2))
        return
    _show(rows)


def engines(as_json: AsJson = False) -> None:
    """List the engines that are kept on this machine. Any of them may be deleted: it is compiled again when needed."""
    cache = EngineCache()
    found = list(cache.records())
    if as_json:
        typer.echo(json.dumps([_record(folder, record) for folder, record in found], indent=2))
        return
    lines = [("engine", "built", "seconds", "size", "for")]
    for folder, record in found:
        if isinstance(record, str):
            lines.append((folder.name, f"not usable: {record}", "", "", ""))
            continue
        device = str(record.key.get("gpu") or record.key.get("device") or "")
        lines.append((record.name, record.built_at[:16], f"{record.seconds:.1f}", _megabytes(record.size), device))
    if found:
        _print(lines)
    typer.echo(f"{len(found)} engines in {cache.folder}")


def _rows(assembly: Assembly, engines: _Watched) -> list[Row]:
    rows = []
    for role, choice in assembly.choices.items():
        model = assembly.models[role.split("/")[0]]
        part = role.partition("/")[2]
        title = f"{model}-{part}" if part else model
        engine, seconds = engines.seen.get(f"{title}-{choice.backend}-{choice.precision}", (None, None))
        rows.append(
            Row(
                role,
                model,
                choice.backend,
                choice.precision,
                choice.device,
                choice.error,
                None if seconds is None else round(seconds, 2),
                engine is not None and engine.fresh,
                None if engine is None else _size(engine.folder),
                None if engine is None else str(engine.folder),
                choice.reason,
                choice.refused,
            )
        )
    return rows


def _show(rows: list[Row]) -> None:
    lines = [("network", "model", "backend", "precision", "error", "seconds", "size", "")]
    lines += [
        (
            row.role,
            row.model,
            row.backend,
            row.precision,
            f"{row.error:.2g}",
            "-" if row.seconds is None else f"{row.seconds:.1f}",
            "-" if row.size is None else _megabytes(row.size),
            "nothing to keep" if row.size is None else "compiled" if row.fresh else "was there",
        )
        for row in rows
    ]
    _print(lines)
    for refused in dict.fromkeys(refused for row in rows for refused in row.refused):
        typer.echo(f"not used: {refused}")


def _print(lines: Sequence[tuple[str, ...]]) -> None:
    """Columns side by side, never cut or folded: what is piped on is searched and copied."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        typer.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())


def _record(folder: Path, record: Record | str) -> dict[str, object]:
    if isinstance(record, str):
        return {"folder": str(folder), "unusable": record}
    return {"folder": str(folder), "size": record.size, **asdict(record)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
