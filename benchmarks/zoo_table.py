"""The tables of all models in docs/models.md: what each needs, by counting, and what was published of it.

Usage: python -m benchmarks.zoo_table [--write] [--json]

Every network of the zoo is made without weights, and its parameters and multiply-accumulates are counted as it would
run, on PyTorch's meta device, so that nothing is computed. `--write` puts the tables into docs/models.md, between the
two comments that are there for it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.backends import Input, Precision, Source
from models.build import DETECTORS, MASKS, POSES, builder_of
from models.serving import DetectorOptions, PoseOptions, Ready, Weights
from models.zoo import SEE_WHOLE_IMAGES, ModelEntry, load_zoo

DOCUMENT = Path(__file__).parents[1] / "docs" / "models.md"
TABLES: dict[str, Callable[[ModelEntry], bool]] = {
    "People": lambda entry: entry.role == "detector" and not entry.gives,
    "People with keypoints or masks, by one network": lambda entry: bool(entry.gives),
    "Keypoints": lambda entry: entry.role == "pose",
    "Masks": lambda entry: entry.role == "masks",
}
LARGEST = 1024
"""Pixels of the longer side that MobileSAM is given, the only network here that takes images of any shape."""

BEGIN, END = "<!-- table of benchmarks/zoo_table.py -->\n", "<!-- end of the table -->\n"


@dataclass(frozen=True)
class Part:
    """One compiled network: what one row of its inputs is, its parameters, and its multiply-accumulates for a row."""

    name: str
    inputs: list[list[int]]
    parameters: int
    macs: int


class Counting:
    """A `models.serving.Compile` that counts instead."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._counted: set[nn.Parameter] = set()

    def __call__(
        self,
        make: Callable[[], Source],
        *,
        size: tuple[int, ...] = (),  # noqa: ARG002
        lowest: Precision = "float32",  # noqa: ARG002
        part: str = "",
    ) -> Ready:
        source = make()
        network = source.network
        parameters = sum(parameter.numel() for parameter in set(network.parameters()) - self._counted)
        network.to("meta").requires_grad_(False)
        self._counted.update(network.parameters())
        shapes = [_shape(of) for of in source.inputs]
        dtypes = [getattr(torch, of.dtype) for of in source.inputs]
        rows = [torch.zeros(1, *shape, dtype=of, device="meta") for shape, of in zip(shapes, dtypes, strict=True)]
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(*rows)
        self.parts.append(Part(part, shapes, parameters, counter.get_total_flops() // 2))
        return Ready(_nothing, source.inputs)


def _shape(of: Input) -> list[int]:
    """Of a row; images of any size are `LARGEST` in both directions."""
    is_image = of.dtype == "uint8"
    return [LARGEST if is_image and axis in of.free else length for axis, length in enumerate(of.shape)]


def _nothing(*_: Any) -> Any:
    raise AssertionError("a network on the meta device cannot run")


def count(entry: ModelEntry) -> list[Part]:
    """The networks of one model at the size that its first published figure names, else at the default one."""
    counting = Counting()
    weights = Weights(entry, None)
    if entry.role == "detector":
        builder_of(DETECTORS[entry.architecture])(weights, counting, DetectorOptions(_size(entry)))
    elif entry.role == "pose":
        builder_of(POSES[entry.architecture])(weights, counting, PoseOptions())
    else:
        builder_of(MASKS[entry.architecture])(weights, counting)
    return counting.parts


def _size(entry: ModelEntry) -> tuple[int, int]:
    for figure in entry.accuracy:
        if match := re.search(r"(\d{3,4})x(\d{3,4})", figure.data):
            return int(match[1]), int(match[2])
    return 480, 640


def table() -> Iterator[str]:
    """The lines of the tables, one for each role; in each the models of one architecture stand together."""
    zoo = load_zoo().models
    architectures = list(dict.fromkeys(entry.architecture for entry in zoo))
    models = sorted(zoo, key=lambda entry: architectures.index(entry.architecture))
    for title, belongs in TABLES.items():
        yield from ("", f"### {title}", "")
        yield "| model | licence | input | parameters | GMAC | published |"
        yield "|---|---|---|---|---|---|"
        for entry in filter(belongs, models):
            yield f"| {' | '.join(_row(entry))} |"
    yield ""


def _row(entry: ModelEntry) -> Iterator[str]:
    parts = count(entry)
    yield f"`{entry.name}`" + (" *" if entry.default else "") + _where(entry)
    yield entry.licence
    yield " x ".join(map(str, parts[0].inputs[0][:2])) if parts else "-"
    yield f"{' + '.join(f'{_short(part.parameters / 1e6)}' for part in parts)} M" if parts else "-"
    macs = (f"{_short(part.macs / 1e9)} a {unit}" for part, unit in zip(parts, _units(entry), strict=False))
    yield " + ".join(macs) or "-"
    yield "; ".join(_published(entry)) or "-"


def _published(entry: ModelEntry) -> Iterator[str]:
    """The first figure of each metric, those of the same data together."""
    first = {figure.metric: figure for figure in reversed(entry.accuracy)}
    by_data: dict[str, list[str]] = {}
    for metric, figure in reversed(first.items()):
        size_left_out = re.sub(r", \d+x\d+", "", figure.data)
        by_data.setdefault(size_left_out, []).append(f"{metric} {figure.value:.3f}".replace(" 0.", " ."))
    for data, figures in by_data.items():
        yield f"{', '.join(figures)} ({data})"


def _units(entry: ModelEntry) -> tuple[str, ...]:
    """What each network of a model looks at."""
    whole = entry.role == "detector" or entry.architecture in SEE_WHOLE_IMAGES | {"fcn8-pose"}
    return ("frame", "person") if whole else ("person",)


def _short(value: float) -> str:
    """With three digits that tell."""
    return f"{value:#.3g}".removeprefix("0").rstrip(".")


def _where(entry: ModelEntry) -> str:
    if not entry.needs_weights or entry.on_index:
        return ""
    return " †" if entry.published else " ‡"


def main() -> None:
    """Print the tables, or write them into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/models.md")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    if arguments.json:
        figures = {entry.name: [asdict(part) for part in count(entry)] for entry in load_zoo().models}
        sys.stdout.write(json.dumps(figures) + "\n")
        return
    lines = "\n".join(table()) + "\n"
    if not arguments.write:
        sys.stdout.write(lines)
        return
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{DOCUMENT.name} lacks the line {(END if begin else BEGIN).strip()}")
    DOCUMENT.write_text(before + BEGIN + lines + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
