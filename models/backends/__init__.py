"""How a network is run: one small interface, several ways, chosen aloud."""

from models.backends.base import Backend, BackendUnavailableError, Compiled, CompileSpec, Input, Precision, Source
from models.backends.parity import probe
from models.backends.select import BackendName, Choice, PrecisionName, backends, compile_network

__all__ = [
    "Backend",
    "BackendName",
    "BackendUnavailableError",
    "Choice",
    "CompileSpec",
    "Compiled",
    "Input",
    "Precision",
    "PrecisionName",
    "Source",
    "backends",
    "compile_network",
    "probe",
]
