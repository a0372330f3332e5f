"""`peoplestream doctor`: what this machine can do, and what is missing."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from models.zoo import Entry
    from stream.config import Config, DetectorConfig, MasksConfig, PoseConfig

State = Literal["ok", "absent", "broken"]

COLOURS: dict[State, str] = {"ok": "green", "absent": "yellow", "broken": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: `state` is "absent" where it is optional, "broken" where a run needs it."""

    what: str
    state: State
    detail: str


def doctor(
    file: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG.yaml]", help="Whose models to look for; without: the defaults'.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON object.")] = False,
) -> None:
    """Show what this machine can do: processor, backends, decoders, weights, and what would be chosen.

    Exit code 0 when a run would work here, 1 when something that it needs is broken.
    """
    findings = list(_examine(file))
    if as_json:
        typer.echo(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    else:
        _show(findings)
    raise typer.Exit(1 if any(finding.state == "broken" for finding in findings) else 0)


def _examine(file: Path | None) -> Iterator[Finding]:
    from stream.settings import load_config

    config = load_config(file, here=False)  # what is not here is told below
    yield from _machine()
    yield from _packages()
    yield from _backends()
    yield from _gpu()
    yield from _decoding()
    yield from _asked_for(config)
    yield from _weights(config)
    yield from _surroundings(config)


def _machine() -> Iterator[Finding]:
    from models.machine import machine

    facts = machine()
    yield Finding("processor", "ok", f"{facts['processor']}, {facts['cores']} cores")
    yield Finding("python", "ok", sys.version.split()[0])


def _packages() -> Iterator[Finding]:
    for name in ("torch", "av", "opencv-python", "numpy", "pyzmq", "openvino"):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            optional = name == "openvino"
            hint = "pip install 'peoplestream[cpu]' makes a processor two to three times as fast" if optional else ""
            yield Finding(name, "absent" if optional else "broken", f"not installed. {hint}".strip())


def _backends() -> Iterator[Finding]:
    from models.backends import BackendUnavailableError, backends

    first = True
    for backend in backends():
        try:
            precisions = ", ".join(backend.precisions())
        except BackendUnavailableError as error:
            yield Finding(f"backend {backend.name}", "absent", str(error))
            continue
        chosen = " - `auto` takes this one" if first else ""
        first = False
        yield Finding(f"backend {backend.name}", "ok", f"{precisions}{chosen}")


def _gpu() -> Iterator[Finding]:
    """Driver, PyTorch and decoder, each with what is missing; quick where there is no driver."""
    from models.backends.base import BackendUnavailableError
    from models.backends.nvidia import gpu
    from models.nvidia_smi import SmiUnavailableError, gpu_states
    from stream.sources.nvdec import lacking

    try:
        for number, state in enumerate(gpu_states()):
            slowed = f", held down by: {', '.join(state.slowed)}" if state.slowed else ""
            yield Finding(f"gpu {number}", "ok", f"{state.name}, driver {state.driver}{slowed}")
    except SmiUnavailableError as error:
        yield Finding("gpu", "absent", f"{error}; everything runs on the processor")
    try:
        here = gpu()
        yield Finding("gpu, torch", "ok", f"{here.name}, capability {here.capability[0]}.{here.capability[1]}")
    except BackendUnavailableError as error:
        yield Finding("gpu, torch", "absent", str(error))
    why = lacking()
    yield Finding(
        "gpu, decoding",
        "ok" if why is None else "absent",
        "FFmpeg opens NVDEC" if why is None else f"streams are decoded on the processor: {why}",
    )


def _decoding() -> Iterator[Finding]:
    import av

    codecs = {name: name in av.codecs_available for name in ("h264", "hevc", "vp9", "av1", "mjpeg")}
    missing = [name for name, there in codecs.items() if not there]
    there = ", ".join(name for name, has in codecs.items() if has)
    yield Finding("decoders", "broken" if missing else "ok", there + (f"; missing {missing}" if missing else ""))
    encoder = "libx264" in av.codecs_available
    yield Finding("overlay video", "ok" if encoder else "absent", "libx264" if encoder else "PyAV has no libx264")


def _networks(config: Config) -> Iterator[tuple[str, str, DetectorConfig | PoseConfig | MasksConfig]]:
    """Role, model and options of every network that a configuration uses."""
    for role, section in (("detector", config.detector), ("pose", config.pose), ("masks", config.masks)):
        if section.model is not None:
            yield role, section.model, section


def _asked_for(config: Config) -> Iterator[Finding]:
    """The backends and precisions that a configuration names itself."""
    for role, model, section in _networks(config):
        if (section.backend, section.precision) != ("auto", "auto"):
            why = _unserved(section.backend, section.precision)
            if why is None and section.precision == "int8" and not _calibrated(model):
                why = f"{model} is not calibrated; do so with peoplestream models calibrate"
            detail = f"{section.backend} {section.precision}" + (f" cannot be had: {why}" if why else "")
            yield Finding(f"backend, {role}", "broken" if why else "ok", detail)


def _unserved(wanted: str, precision: str) -> str | None:
    """Why no backend of this name serves in this precision; None where one does."""
    from models.backends import BackendUnavailableError, backends

    refused = []
    for backend in backends():
        if wanted not in ("auto", backend.name):
            continue
        try:
            native = backend.precisions()
        except BackendUnavailableError as error:
            refused.append(f"{backend.name}: {error}")
            continue
        if precision not in ("float16", "int8") or precision in native:  # the others run anywhere, if slowly
            return None
        refused.append(f"{backend.name}: it does not compute in {precision} here")
    return "; ".join(refused)


def _calibrated(model: str) -> bool:
    """Whether somebody has calibrated this network; whether for this size and these weights, a run finds out."""
    from models.backends.cache import EngineCache, Record

    names = [record.name for _, record in EngineCache().records() if isinstance(record, Record)]
    return any(name.startswith(f"{model}-") and name.endswith("-int8") for name in names)


def _surroundings(config: Config) -> Iterator[Finding]:
    """What else a run would be refused for here; of what is fine, nothing is said."""
    from stream.settings.needs import lacking

    for key, why in lacking(config):
        if key[1] != "weights":  # told with their network
            yield Finding(".".join(map(str, key)), "broken", why)


def _weights(config: Config) -> Iterator[Finding]:
    """The networks of a configuration, and where one is still to be fetched: whether it can be stored."""
    from models.weights import CACHE_VARIABLE, cache_dir
    from models.zoo import load_zoo

    zoo = load_zoo()
    complete = True
    for role, model, section in _networks(config):
        finding = _weights_of(role, zoo.entry(model), section.weights)
        complete = complete and finding.state == "ok"
        yield finding
    folder = cache_dir()
    if complete or _can_be_written(folder):
        yield Finding("cache", "ok", str(folder))
    else:
        yield Finding(
            "cache",
            "broken",
            f"weights cannot be stored in {folder}; give write access there, or choose a folder with {CACHE_VARIABLE}",
        )


def _weights_of(role: str, entry: Entry, wanted: str) -> Finding:
    from models.build import PRETRAINED, RANDOM
    from models.weights import path_of, state

    what = f"weights, {role}"
    if wanted == RANDOM:
        return Finding(what, "absent", f"{entry.name}: runs with random weights, what it finds means nothing")
    if wanted != PRETRAINED:
        if Path(wanted).expanduser().exists():
            return Finding(what, "ok", f"{entry.name}: {wanted}")
        return Finding(what, "broken", f"{entry.name}: {wanted} is not there")
    path = path_of(entry)
    try:
        found = state(entry)
    except OSError as error:
        return Finding(what, "broken", f"{entry.name}: {path} cannot be read: {error.strerror}")
    match found:
        case "present":
            return Finding(what, "ok", f"{entry.name}: {path}")
        case "absent":
            pull = f"peoplestream models pull {entry.name}"
            return Finding(what, "absent", f"{entry.name}: weights not present: pull with {pull}")
        case "needless":
            return Finding(what, "ok", f"{entry.name}: needs none")
        case "unpublished":
            return Finding(
                what, "broken", f"{entry.name}: weights not present, and no address is known; give your own file"
            )
        case _:
            mend = f"fetch it again with peoplestream models pull {entry.name}"
            return Finding(what, "broken", f"{entry.name}: {path} is damaged; {mend}")


def _can_be_written(folder: Path) -> bool:
    """Whether files can be made in `folder`, or it can be made itself."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if os.path.lexists(path))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _show(findings: list[Finding]) -> None:
    """One line each, never cut or folded: what is piped on is searched and copied."""
    console = Console()
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        state = f"[{COLOURS[finding.state]}]{finding.state:<6}[/]"
        console.print(f"{state}  {finding.what:<{width}}  {escape(finding.detail)}", highlight=False, soft_wrap=True)


__all__ = ["Finding", "doctor"]
