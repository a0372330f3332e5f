"""Which backend and precision a network runs in, and why."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from models.backends.base import (
    Backend,
    BackendUnavailableError,
    Compiled,
    CompileSpec,
    Input,
    KeepingBackend,
    NotCalibratedError,
    NotMeantError,
    Precision,
    Recipe,
    Source,
)
from models.backends.cache import EngineCache, EngineKey, Record
from models.backends.cuda import CUDABackend
from models.backends.device_runner import DeviceRunner
from models.backends.openvino import OpenVINOBackend
from models.backends.parity import Verdict, compared, probe
from models.backends.tensorrt import TensorRTBackend

log = logging.getLogger(__name__)

BackendName = Literal["auto", "tensorrt", "tensorrt-rtx", "cuda", "openvino", "torch"]
PrecisionName = Literal["auto", "float32", "float16", "bfloat16", "int8"]

_MOST_EXACT_FIRST: tuple[Precision, ...] = get_args(Precision)


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
    yield TensorRTBackend("tensorrt")
    yield TensorRTBackend("tensorrt-rtx")
    yield CUDABackend()
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
        for wanted, reason in _precisions(candidate, recipe.lowest, precision, tried, kitchen.calibrated):
            try:
                compiled, inputs, verdict = kitchen.compiled(candidate, wanted)
            except NotCalibratedError as missing:
                raise BackendUnavailableError(
                    f"{recipe.name} is not calibrated for int8 with these weights, this size of input and this version "
                    f"on this processor; do so with 'peoplestream models calibrate', or ask for another precision"
                ) from missing
            except NotMeantError as unfit:
                _refuse(tried, f"{candidate.name}: {unfit}", logging.DEBUG)
                break
            except BackendUnavailableError as unavailable:
                _refuse(tried, f"{candidate.name} {wanted}: {unavailable}")
                continue
            if against := verdict.against(wanted, strict=isinstance(compiled, DeviceRunner)):
                _refuse(tried, f"{candidate.name} {wanted}: {against}")
                continue
            chosen = f"asked for {backend}" if backend != "auto" else f"{candidate.name} is the fastest that runs here"
            choice = Choice(candidate.name, wanted, compiled.device, f"{chosen}; {reason}", tuple(tried), verdict.error)
            return Served(compiled, inputs, choice)
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

    def compiled(self, candidate: Backend, precision: Precision) -> tuple[Compiled, tuple[Input, ...], Verdict]:
        """The network as `candidate` runs it, its inputs, and how far it is from eager float32."""
        if self._cache is not None and isinstance(candidate, KeepingBackend):
            return self._kept(candidate, precision, self._cache)
        compiled = candidate.compile(self._source.network, self._spec(self._source.inputs, precision))
        return compiled, self._source.inputs, self._verdict(compiled)

    def calibrated(self, candidate: Backend) -> str:
        """What came of calibrating this network for int8 on `candidate`, in words; nothing where nobody did."""
        if self._cache is None or not isinstance(candidate, KeepingBackend):
            return ""
        name, key = self._place(candidate, "int8")
        engine = self._cache.get(name, key)
        if engine is not None:
            return str(engine.facts.get("calibrated", ""))
        for _, record in self._cache.records():
            if isinstance(record, Record) and record.name == name and record.key != key.values:
                other = ", ".join(field for field in sorted(key.values) if record.key.get(field) != key.values[field])
                log.warning(
                    "the int8 network of %s from %s is for another %s; 'peoplestream models calibrate' makes a new one",
                    self._recipe.name, record.built_at, other,
                )  # fmt: skip
                break
        return ""

    def _kept(
        self, candidate: KeepingBackend, precision: Precision, cache: EngineCache
    ) -> tuple[Compiled, tuple[Input, ...], Verdict]:
        fresh: list[Compiled] = []

        def build(folder: Path) -> Mapping[str, Any]:
            spec = self._spec(self._source.inputs, precision)
            candidate.save(self._source.network, spec, folder)
            fresh.append(candidate.load(folder, spec))
            verdict = self._verdict(fresh[0])
            if not math.isfinite(verdict.error):
                raise BackendUnavailableError("its outputs are not finite, or of other shapes than eager float32's")
            return {"inputs": [asdict(of) for of in spec.inputs], **asdict(verdict)}

        name, key = self._place(candidate, precision)
        serves_only = isinstance(candidate, OpenVINOBackend) and not candidate.quantises
        if precision == "int8" and serves_only and cache.get(name, key) is None:
            raise NotCalibratedError("it is not calibrated")  # said now, not after "compiling ..."
        engine = cache.get_or_build(name, key, build)
        inputs = tuple(Input(tuple(of["shape"]), of["dtype"], tuple(of["free"])) for of in engine.facts["inputs"])
        compiled = fresh[0] if fresh else candidate.load(engine.folder, self._spec(inputs, precision))
        return compiled, inputs, Verdict(float(engine.facts["error"]), str(engine.facts.get("objection", "")))

    def _place(self, candidate: KeepingBackend, precision: Precision) -> tuple[str, EngineKey]:
        """Name and key of what `candidate` keeps."""
        key = {
            **{f"network {name}": value for name, value in self._recipe.identity.items()},
            **candidate.identity(),
            "backend": candidate.name,
            "precision": precision,
        }
        return f"{self._recipe.name}-{candidate.name}-{precision}", EngineKey(key)

    def _verdict(self, compiled: Compiled) -> Verdict:
        reference, inputs = self._reference, probe(self._source.inputs)
        try:
            return compared(compiled, reference, inputs, self._source.judge)
        except RuntimeError as error:  # so PyTorch and NVIDIA's libraries tell of whatever a device does not do
            raise BackendUnavailableError(f"fails when it is run: {str(error).splitlines()[0]}") from error

    def _spec(self, inputs: tuple[Input, ...], precision: Precision) -> CompileSpec:
        return CompileSpec(inputs, precision, self._threads)


def _refuse(tried: list[str], attempt: str, level: int = logging.WARNING) -> None:
    tried.append(attempt)
    log.log(level, "not used: %s", attempt)


def _precisions(
    candidate: Backend,
    lowest: Precision,
    asked: PrecisionName,
    tried: list[str],
    calibrated: Callable[[Backend], str],
) -> Iterator[tuple[Precision, str]]:
    """The precisions worth a try on `candidate`, best first, each with its reason."""
    try:
        native = candidate.precisions()
    except BackendUnavailableError as error:
        level = logging.DEBUG if isinstance(error, NotMeantError) else logging.WARNING
        _refuse(tried, f"{candidate.name}: {error}", level)
        return
    if asked in ("float16", "int8") and asked not in native:
        _refuse(tried, f"{candidate.name}: it does not compute in {asked} here")
    elif asked != "auto":
        how = "" if asked in native else ", though this processor has no instructions for it"
        yield asked, f"asked for {asked}{how}"
    else:
        if "int8" in native and (finding := calibrated(candidate)):
            yield "int8", finding
        yield from _allowed(native, lowest)


def _allowed(native: tuple[Precision, ...], lowest: Precision) -> Iterator[tuple[Precision, str]]:
    """Of the precisions that a machine has, those that are exact enough."""
    enough = _MOST_EXACT_FIRST[: _MOST_EXACT_FIRST.index(lowest) + 1]
    failed = ""
    for precision in native:
        if precision not in enough:
            continue
        if failed:
            yield precision, f"{precision} because {failed} failed its parity check"
        elif precision != "float32":
            yield precision, f"{precision} keeps this network's accuracy and the processor has it"
        elif lowest == "float32":
            yield precision, "float32 because a lower precision costs this network accuracy"
        else:
            yield precision, f"float32 because this processor has no {lowest} instructions"
        failed = precision
