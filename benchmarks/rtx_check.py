"""Whether networks of the zoo convert to TensorRT-RTX and build an engine, all of them, on a machine without a GPU.

Usage: python -m benchmarks.rtx_check [NAME ...] [--precision float16] [--json]

`make rtx-check` runs it in an environment of its own. Without names it takes the default networks. What it shows is
that every operator has a converter and that an engine comes out, no more: nothing is run, for engines run on a GPU.
The code that converts is the backend's own, `models.backends.tensorrt.build_engine`; the weights are random.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any, get_args
from unittest.mock import patch

import torch

from benchmarks.arguments import explained, network
from benchmarks.measure import FailedError
from models.backends import BackendUnavailableError, CompileSpec, Precision, Source
from models.backends.tensorrt import build_engine, exported
from models.build import DETECTORS, MASKS, POSES, builder_of
from models.serving import DetectorOptions, PoseOptions, Ready, Weights
from models.zoo import ModelEntry, load_zoo

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Row:
    """One network: operators that went into its engine, seconds it took, size of the engine; or why there is none."""

    network: str
    precision: Precision
    operators: int
    seconds: float
    megabytes: float
    refused: str


class Collecting:
    """A `models.serving.Compile` that makes the networks and compiles nothing."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}

    def __call__(self, make: Callable[[], Source], *, part: str = "", **_: object) -> Ready:
        self.sources[part] = make()
        return Ready(_nothing, self.sources[part].inputs)


def _nothing(*_: Any) -> tuple[Any, ...]:
    return ()


@explained
def main() -> int:
    """Print the table; 1 where something was refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=network, metavar="NAME")
    parser.add_argument("--precision", choices=get_args(Precision), default="float16")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if find_spec("torch_tensorrt") is None:
        raise FailedError("torch_tensorrt is not installed here: `make rtx-check` makes an environment that has it")
    entries = arguments.networks or [of for of in load_zoo().defaults if isinstance(of, ModelEntry)]
    logging.disable(logging.CRITICAL)  # torch_tensorrt logs whole graphs
    rows = []
    with _as_if_there_were_a_gpu():
        for entry in entries:
            for row in _checked(entry, arguments.precision):
                rows.append(row)
                if not arguments.json:
                    _show(row)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 1 if any(row.refused for row in rows) else 0


def made(weights: Weights) -> dict[str, Source]:
    """The networks of a model, by part; none of them compiled. A detector looks at 480 x 640 pixels."""
    collect, architecture = Collecting(), weights.entry.architecture
    for architectures, options in ((DETECTORS, (DetectorOptions((480, 640)),)), (POSES, (PoseOptions(),)), (MASKS, ())):
        if architecture in architectures:
            builder_of(architectures[architecture])(weights, collect, *options)
    return collect.sources


def _checked(entry: ModelEntry, precision: Precision) -> Iterator[Row]:
    for part, source in made(Weights(entry, None)).items():
        spec = CompileSpec(source.inputs, precision, threads=1)
        name = f"{entry.name}/{part}" if part else entry.name
        operators, size, refused = 0, 0, ""
        started = time.monotonic()
        try:
            size = len(build_engine(source.network, spec, CPU))
            graph = exported(source.network, spec, CPU).graph
            operators = sum(node.op == "call_function" for node in graph.nodes)
        except BackendUnavailableError as error:
            refused = str(error)
        yield Row(name, precision, operators, round(time.monotonic() - started, 1), round(size / 1e6, 1), refused)


@contextmanager
def _as_if_there_were_a_gpu() -> Iterator[None]:
    """Answers for what torch_tensorrt asks of a GPU while it is imported and builds, though building needs none."""

    class Serialised:
        """Stands for the engine that only a GPU could load again."""

        def __init__(self, engine: Any) -> None:
            self.serialize = lambda: engine

    class Runtime:
        def __init__(self, _: Any) -> None:
            self.deserialize_cuda_engine = Serialised

    is_file = os.path.isfile
    with (
        patch("torch.cuda.current_device", lambda: 0),
        patch("torch.cuda.get_device_capability", lambda *_: (9, 0)),
        patch("torch.cuda.mem_get_info", lambda *_: (1, 1)),
        patch("torch._C._CudaDeviceProperties", object, create=True),
    ):
        # Its compiled half wants PyTorch with CUDA; without the file it takes the half that is written in Python.
        with patch("os.path.isfile", lambda path: "libtorchtrt" not in str(path) and is_file(path)):
            import torch_tensorrt.dynamo.conversion._TRTInterpreter as interpreter
        with patch.object(interpreter.trt, "Runtime", Runtime):
            yield


def _show(row: Row) -> None:
    outcome = row.refused or f"{row.operators} operators, {row.seconds:.1f} s, {row.megabytes:.1f} MB"
    sys.stdout.write(f"{'refused' if row.refused else 'builds':<8} {row.network:<32} {row.precision:<9} {outcome}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
