"""Which backend and precision a network runs in, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from models.backends.base import Backend, BackendUnavailableError, Compiled, CompileSpec, Precision
from models.backends.openvino import OpenVINOBackend
from models.backends.parity import TOLERANCE, probe, relative_error
from models.backends.torch_cpu import TorchBackend

log = logging.getLogger(__name__)

BackendName = Literal["auto", "openvino", "torch"]
PrecisionName = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen for one network.

    Attributes:
        backend, precision, device: what serves.
        reason: one sentence saying why this one.
        refused: one sentence for every candidate that was tried before and did not serve.
        error: relative error of its outputs against eager float32 on the probe images.
    """

    backend: str
    precision: Precision
    device: str
    reason: str
    refused: tuple[str, ...]
    error: float


def backends() -> tuple[Backend, ...]:
    """Every backend, in the order in which `auto` tries them."""
    return (OpenVINOBackend(), TorchBackend())


def compile_network(
    network: nn.Module,
    spec: CompileSpec,
    *,
    backend: BackendName = "auto",
    precision: PrecisionName = "auto",
    candidates: tuple[Backend, ...] | None = None,
) -> tuple[Compiled, Choice]:
    """Compile `network` on the first candidate that can and that passes the parity gate.

    Args:
        network: as `Backend.compile` wants it.
        spec: its `precision` is the lowest that is known to keep this network's accuracy; `auto` goes no lower.
        backend: a name asks for that backend and no other.
        precision: a name asks for that precision and no other, native or not.
        candidates: instead of `backends()`.

    Raises:
        BackendUnavailableError: nothing serves; the message lists every attempt.
    """
    tried: list[str] = []
    inputs = probe(spec.inputs)
    reference = TorchBackend().compile(network, replace(spec, precision="float32"))
    for candidate in candidates or backends():
        if backend not in ("auto", candidate.name):
            continue
        for wanted, reason in _precisions(candidate, spec.precision, precision, tried):
            try:
                compiled = candidate.compile(network, replace(spec, precision=wanted))
            except BackendUnavailableError as error:
                tried.append(f"{candidate.name} {wanted}: {error}")
                continue
            error_ = relative_error(compiled, reference, inputs)
            if error_ <= TOLERANCE[wanted]:
                for attempt in tried:
                    log.warning("not used: %s", attempt)
                chosen = (
                    f"asked for {backend}" if backend != "auto" else f"{candidate.name} is the fastest that runs here"
                )
                return compiled, Choice(
                    candidate.name, wanted, compiled.device, f"{chosen}; {reason}", tuple(tried), error_
                )
            tried.append(
                f"{candidate.name} {wanted}: outputs differ by {error_:.2g} from eager float32, "
                f"more than the {TOLERANCE[wanted]:.2g} allowed"
            )
    raise BackendUnavailableError(
        f"no backend can run this network (asked for backend {backend}, precision {precision}): " + "; ".join(tried)
    )


def _precisions(
    candidate: Backend, lowest: Precision, asked: PrecisionName, tried: list[str]
) -> Iterator[tuple[Precision, str]]:
    """The precisions worth a try on `candidate`, best first, each with its reason."""
    try:
        native = candidate.precisions()
    except BackendUnavailableError as error:
        tried.append(f"{candidate.name}: {error}")
        return
    if asked != "auto":
        how = "" if asked in native else ", though this processor has no instructions for it"
        yield asked, f"asked for {asked}{how}"
        return
    if lowest == "bfloat16" and "bfloat16" in native:
        yield "bfloat16", "bfloat16 keeps this network's accuracy and the processor has it"
        yield "float32", "float32 because bfloat16 failed its parity check"
    elif lowest == "bfloat16":
        yield "float32", "float32 because this processor has no bfloat16 instructions"
    else:
        yield "float32", "float32 because a lower precision costs this network accuracy"
