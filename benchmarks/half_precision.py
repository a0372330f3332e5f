"""What half precision does to networks of the zoo, computed on the processor: the table in docs/gpu.md.

Usage: python -m benchmarks.half_precision [NAME ...]

Without names it takes the default networks. Each is compared with eager float32 on the pictures of drawn people that
the parity gate uses, in the form in which a GPU gets it (`models.backends.half`): by the relative error of its outputs,
and by what its judge objects to. A GPU sums in another order, so its figures will be others.
"""

from __future__ import annotations

import argparse
import sys

import torch

from benchmarks.arguments import explained, network
from benchmarks.rtx_check import made
from models.backends import CompileSpec, Precision
from models.backends.cuda import on_device
from models.backends.parity import compared, probe
from models.backends.torch_cpu import TorchBackend
from models.machine import cores
from models.serving import Weights
from models.weights import fetch
from models.zoo import ModelEntry, load_zoo

HALF: tuple[Precision, ...] = ("float16", "bfloat16")


@explained
def main() -> None:
    """Print one line per network and precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", type=network, metavar="NAME")
    networks = parser.parse_args().networks or [of for of in load_zoo().defaults if isinstance(of, ModelEntry)]
    for weights in [Weights(entry, fetch(entry)) for entry in networks]:
        for part, source in made(weights).items():
            pictures = probe(source.inputs)
            reference = TorchBackend().compile(source.network, CompileSpec(source.inputs, "float32", cores()))
            for precision in HALF:
                spec = CompileSpec(source.inputs, precision, cores())
                lowered = on_device(source.network, spec, torch.device("cpu"), "processor")
                verdict = compared(lowered, reference, pictures, source.judge)
                finding = verdict.objection or ("no objection" if source.judge else "nobody judges it")
                title = f"{weights.entry.name}/{part}" if part else weights.entry.name
                sys.stdout.write(f"{title:<28} {precision:<9} {verdict.error:.2g}  {finding}\n")


if __name__ == "__main__":
    main()
