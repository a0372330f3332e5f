"""Every check, in the order in which they are tried: what matters most comes first, should the time run out."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from benchmarks.gpu.outcome import Check, FailedError, Figures, Setting, no_gpu
from models.backends.base import Precision
from models.machine import machine
from models.nvidia_smi import SmiUnavailableError, gpu_states

BACKENDS = ("tensorrt", "cuda", "tensorrt-rtx")
PRECISIONS: tuple[Precision, ...] = ("float16", "bfloat16", "float32")
_PACKAGES = ("torch", "torch-tensorrt", "torch-tensorrt-rtx", "tensorrt", "av", "numpy", "onnxruntime-gpu")


def checks() -> list[Check]:
    """All of them; what each needs is imported when it runs."""
    return [
        Check("environment", 60, _no_driver, _environment),
        Check("ceilings", 60, no_gpu, _ceilings),
        Check("nvdec", 120, _no_nvdec, _nvdec),
        Check("processing", 60, no_gpu, _processing),
        _backend("tensorrt", "float16"),
        _backend("cuda", "float16"),
        Check("pipeline", 150, no_gpu, _pipeline),
        Check("pipeline of several processes", 180, no_gpu, _pipeline_of_several),
        *(
            _backend(backend, precision)
            for precision in PRECISIONS
            for backend in BACKENDS
            if (backend, precision) not in (("tensorrt", "float16"), ("cuda", "float16"))
        ),
    ]


def _backend(backend: str, precision: str) -> Check:
    def missing() -> str | None:
        from benchmarks.gpu.networks import missing

        return missing(backend, precision)

    def run(setting: Setting) -> Figures:
        from benchmarks.gpu.networks import served

        return served(backend, precision)(setting)

    return Check(f"{backend} {precision}", 240, missing, run)


def _no_driver() -> str | None:
    try:
        gpu_states()
    except SmiUnavailableError as error:
        return str(error)
    return None


def _environment(_: Setting) -> Figures:
    """The machine; what holds the GPU's clocks down before anything runs makes it fail."""
    states = gpu_states()
    figures: Figures = {**machine(), "gpus": [asdict(state) for state in states], "packages": {}}
    for name in _PACKAGES:
        try:
            figures["packages"][name] = version(name)
        except PackageNotFoundError:
            figures["packages"][name] = None
    held = sorted({reason for state in states for reason in state.slowed or ()})
    if held:
        raise FailedError(f"the GPU is held down before anything runs: {', '.join(held)}", figures)
    return figures


def _ceilings(setting: Setting) -> Figures:
    from benchmarks.gpu.ceilings import copies_and_products

    return copies_and_products(setting)


def _no_nvdec() -> str | None:
    from benchmarks.gpu.video import missing

    return missing()


def _nvdec(setting: Setting) -> Figures:
    from benchmarks.gpu.video import nvdec

    return nvdec(setting)


def _processing(setting: Setting) -> Figures:
    from benchmarks.gpu.processing import on_gpu

    return on_gpu(setting)


def _pipeline_of_several(setting: Setting) -> Figures:
    from benchmarks.gpu.crew import pipeline_of_several

    return pipeline_of_several(setting)


def _pipeline(setting: Setting) -> Figures:
    from benchmarks.gpu.sweep import pipeline

    return pipeline(setting)
