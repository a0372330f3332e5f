"""Which backend and precision a network runs in, and why."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from models.backends.base import (
    Backend,
    BackendUnavailableError,
    Compiled,
    CompileSpec,
    Input,
    KeepingBackend,
    Precision,
    Recipe,
    Source,
)
from models.backends.cache import EngineCache, EngineKey
from models.backends.openvino import OpenVINOBackend
from models.backends.parity import TOLERANCE, probe, relative_error

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


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A network that is ready.

    Attributes:
        run: the network, compiled. inputs: what it is to be given. choice: how it runs, and why.
    """

    run: Compiled
    inputs: tuple[Input, ...]
    choice: Choice


def backends() -> Iterator[Backend]:
    """Every backend, in the order in which `auto` tries them; PyTorch is imported only for who gets that far."""
    yield OpenVINOBackend()
    from models.backends.torch_cpu import TorchBackend

    yield TorchBackend()


def compile_network(
    recipe: Recipe,
    *,
    threads: int,
    backend: BackendName = "auto",
    precision: PrecisionName = "auto",
    candidates: Iterable[Backend] | None = None,
    cache: EngineCache | None = None,
) -> Served:
    """Compile a network on the first candidate that can and that passes the parity gate.

    Args:
        recipe: of the network; `auto` goes no lower than its `lowest` precision.
        threads: how many processor threads one call may use.
        backend: a name asks for that backend and no other.
        precision: a name asks for that precision and no other, native or not.
        candidates: instead of `backends()`.
        cache: where compiled networks are kept, with what the gate has seen of them; None: nowhere.

    Raises:
        BackendUnavailableError: nothing serves; the message lists every attempt.
    """
    tried: list[str] = []
    kitchen = _Kitchen(recipe, threads, cache)
    for candidate in candidates or backends():
        if backend not in ("auto", candidate.name):
            continue
        for wanted, reason in _precisions(candidate, recipe.lowest, precision, tried):
            try:
                compiled, inputs, error = kitchen.compiled(candidate, wanted)
            except BackendUnavailableError as unavailable:
                tried.append(f"{candidate.name} {wanted}: {unavailable}")
                continue
            if error <= TOLERANCE[wanted]:
                for attempt in tried:
                    log.warning("not used: %s", attempt)
                chosen = (
                    f"asked for {backend}" if backend != "auto" else f"{candidate.name} is the fastest that runs here"
                )
                choice = Choice(candidate.name, wanted, compiled.device, f"{chosen}; {reason}", tuple(tried), error)
                return Served(compiled, inputs, choice)
            tried.append(
                f"{candidate.name} {wanted}: outputs differ by {error:.2g} from eager float32, "
                f"more than the {TOLERANCE[wanted]:.2g} allowed"
            )
    raise BackendUnavailableError(
        f"no backend can run this network (asked for backend {backend}, precision {precision}): " + "; ".join(tried)
    )


class _Kitchen:
    """Compiles one network in several ways; makes it, and its reference, when they are first needed."""

    def __init__(self, recipe: Recipe, threads: int, cache: EngineCache | None) -> None:
        self._recipe = recipe
        self._threads = threads
        self._cache = cache

    @cached_property
    def _source(self) -> Source:
        return self._recipe.make()

    @cached_property
    def _reference(self) -> Compiled:
        from models.backends.torch_cpu import TorchBackend

        return TorchBackend().compile(self._source.network, self._spec(self._source.inputs, "float32"))

    def compiled(self, candidate: Backend, precision: Precision) -> tuple[Compiled, tuple[Input, ...], float]:
        """The network as `candidate` runs it, its inputs, and its relative error to eager float32."""
        if self._cache is not None and isinstance(candidate, KeepingBackend):
            return self._kept(candidate, precision, self._cache)
        compiled = candidate.compile(self._source.network, self._spec(self._source.inputs, precision))
        return compiled, self._source.inputs, self._error(compiled)

    def _kept(
        self, candidate: KeepingBackend, precision: Precision, cache: EngineCache
    ) -> tuple[Compiled, tuple[Input, ...], float]:
        fresh: list[Compiled] = []

        def build(folder: Path) -> Mapping[str, Any]:
            spec = self._spec(self._source.inputs, precision)
            candidate.save(self._source.network, spec, folder)
            fresh.append(candidate.load(folder, spec))
            error = self._error(fresh[0])
            if not math.isfinite(error):
                raise BackendUnavailableError("its outputs are not finite, or of other shapes than eager float32's")
            return {"inputs": [asdict(of) for of in spec.inputs], "error": error}

        key = EngineKey(
            {
                **{f"network {name}": value for name, value in self._recipe.identity.items()},
                **candidate.identity(),
                "backend": candidate.name,
                "precision": precision,
            }
        )
        engine = cache.get_or_build(f"{self._recipe.name}-{candidate.name}-{precision}", key, build)
        inputs = tuple(Input(tuple(of["shape"]), of["dtype"], tuple(of["free"])) for of in engine.facts["inputs"])
        compiled = fresh[0] if fresh else candidate.load(engine.folder, self._spec(inputs, precision))
        return compiled, inputs, float(engine.facts["error"])

    def _error(self, compiled: Compiled) -> float:
        return relative_error(compiled, self._reference, probe(self._source.inputs))

    def _spec(self, inputs: tuple[Input, ...], precision: Precision) -> CompileSpec:
        return CompileSpec(inputs, precision, self._threads)


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
