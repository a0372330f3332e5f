"""How a network is run: one small interface, several ways, chosen aloud."""

from models.backends.base import Backend, BackendUnavailableError, Compiled, CompileSpec, Precision
from models.backends.pixels import FromPixels
from models.backends.select import BackendName, Choice, PrecisionName, backends, compile_network

__all__ = [
    "Backend",
    "BackendName",
    "BackendUnavailableError",
    "Choice",
    "CompileSpec",
    "Compiled",
    "FromPixels",
    "Precision",
    "PrecisionName",
    "backends",
    "compile_network",
]
