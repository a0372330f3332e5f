"""The table of all models in docs/models.md: what each needs, by its published figures and by counting.

Usage: python benchmarks/zoo_table.py [--write] [--json]

Every network of the zoo is made without weights (on PyTorch's meta device, so that nothing is computed), and its
parameters and multiply-accumulates are counted as it would run. `--write` puts the table into docs/models.md.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.backends import Input, Precision
from models.build import DETECTORS, MASKS, POSES
from models.serving import DetectorOptions, PoseOptions, Weights
from models.tasks import TensorRunner
from models.zoo import ModelEntry, load_zoo

DOCUMENT = Path(__file__).parents[1] / "docs" / "models.md"
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

    def __call__(
        self,
        network: nn.Module,
        *inputs: Input,
        lowest: Precision = "float32",  # noqa: ARG002
        part: str = "",
    ) -> TensorRunner:
        parameters = sum(parameter.numel() for parameter in network.parameters())
        network.to("meta").requires_grad_(False)
        rows = [torch.zeros((1, *of.shape), dtype=getattr(torch, of.dtype), device="meta") for of in inputs]
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            network(*rows)
        self.parts.append(Part(part, [list(of.shape) for of in inputs], parameters, counter.get_total_flops() // 2))
        return _nothing


def _nothing(*_: Any) -> Any:
    raise AssertionError("a network on the meta device cannot run")


def count(entry: ModelEntry) -> list[Part]:
    """The networks of one model at the size that its first published figure names, else at the default one."""
    counting = Counting()
    weights = Weights(entry, None)
    if entry.role == "detector":
        DETECTORS[entry.architecture](weights, counting, DetectorOptions(_size(entry)))
    elif entry.role == "pose":
        POSES[entry.architecture](weights, counting, PoseOptions())
    else:
        MASKS[entry.architecture](weights, counting)
    return counting.parts


def _size(entry: ModelEntry) -> tuple[int, int]:
    for figure in entry.accuracy:
        if match := re.search(r"(\d{3,4})x(\d{3,4})", figure.data):
            return int(match[1]), int(match[2])
    return 480, 640


def table() -> Iterator[str]:
    """The lines of the table, by role."""
    yield "| model | role | licence | input | parameters | GMAC | published |"
    yield "|---|---|---|---|---|---|---|"
    order = {"detector": 0, "pose": 1, "masks": 2}
    for entry in sorted(load_zoo().models, key=lambda entry: order[entry.role]):
        parts = count(entry)
        yield (
            " | ".join(
                (
                    f"| `{entry.name}`" + (" *" if entry.default else "") + _where(entry),
                    " + ".join((entry.role, *entry.gives)),
                    entry.licence.split(",")[0],
                    "; ".join(" x ".join(map(str, shape)) for part in parts for shape in part.inputs) or "-",
                    " + ".join(f"{part.parameters / 1e6:.2f} M" for part in parts) or "-",
                    " + ".join(f"{part.macs / 1e9:.2f}" for part in parts) or "-",
                    "; ".join(f"{figure.metric} {figure.value:.3f} ({figure.data})" for figure in entry.accuracy)
                    or "-",
                )
            )
            + " |"
        )


def _where(entry: ModelEntry) -> str:
    if not entry.needs_weights or entry.on_index:
        return ""
    return " †" if entry.published else " ‡"


def main() -> None:
    """Print the table, or write it into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/models.md")
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
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCUMENT.write_text(before + BEGIN + lines + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
