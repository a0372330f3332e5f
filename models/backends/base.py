"""What a backend is: something that turns a `torch.nn.Module` into a `Runner`.

PyTorch is not imported here, nor by what runs a network whose compiled form is kept: without it a run starts in half
the time and with half the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.backends.cache import Value

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["float32", "float16", "bfloat16", "int8"]
"""In which layers compute, most exact first."""

Outputs: TypeAlias = tuple[npt.NDArray[np.float32], ...]

Judge: TypeAlias = Callable[[Outputs, Outputs], str]
"""Is given a network's outputs and what they are in eager float32; says where they differ too much, else nothing."""

Facts: TypeAlias = Mapping[str, Value]
"""What tells something from others of its kind."""


class BackendUnavailableError(Exception):
    """This backend cannot run on this machine, or not in this precision; the message says why."""


class NotCalibratedError(BackendUnavailableError):
    """This backend could run the network in int8, had somebody calibrated it."""


class NotMeantError(BackendUnavailableError):
    """This backend is not meant for this machine or this network: nothing is amiss, and nobody has to be warned."""


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a network.

    Attributes:
        shape: of one row, without the batch dimension; of a free axis, a typical length.
        dtype: of what is given to it.
        free: axes of `shape` that may have another length at every call.
    """

    shape: tuple[int, ...]
    dtype: Literal["uint8", "float32"] = "float32"
    free: tuple[int, ...] = ()

    @staticmethod
    def pixels(height: int, width: int) -> Input:
        """Images, uint8 [B, height, width, 3]."""
        return Input((height, width, 3), "uint8")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A network as PyTorch has it, to be compiled.

    Attributes:
        network: maps tensors with B rows, in the order of `inputs`, to one tensor or a tuple of them, all with B rows.
        inputs: what it is given at every call.
        judge: of what its outputs mean, see `models.agreement`; None where relative errors have to do.
    """

    network: nn.Module
    inputs: tuple[Input, ...]
    judge: Judge | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """How a network is made, and what is known of it before it is.

    Attributes:
        name: of the network, for people and for the names of files.
        identity: all that decides what `make` makes: weights, architecture, arguments.
        make: makes it; not called where its compiled form is kept.
        lowest: the lowest precision that is known to keep its accuracy.
    """

    name: str
    identity: Facts
    make: Callable[[], Source]
    lowest: Precision = "float32"


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """What to compile for.

    Attributes:
        inputs: of the network, in its order.
        precision: in which the layers compute; inputs are as `inputs` says and outputs float32 whatever it is.
        threads: how many processor threads one call may use.
        batch: rows of a typical batch; a compiled network takes any number.
    """

    inputs: tuple[Input, ...]
    precision: Precision
    threads: int
    batch: int = 4


class Compiled(Protocol):
    """A `TensorRunner` that knows how it was made."""

    backend: str
    precision: Precision
    device: str

    def __call__(self, *inputs: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], ...]: ...


class Backend(Protocol):
    """One way to run a network.

    `network` maps tensors with B rows, as `CompileSpec.inputs` says, to a tensor or a tuple of tensors with B rows (see
    `models.backends.pixels.FromPixels` for one that takes pixels); a backend needs to know nothing else of it.
    """

    name: str

    def precisions(self) -> tuple[Precision, ...]:
        """The precisions that this machine runs natively, fastest first.

        Raises:
            BackendUnavailableError: the backend cannot run here at all.
        """
        ...

    def compile(self, network: nn.Module, spec: CompileSpec) -> Compiled:
        """Compile `network`.

        Raises:
            BackendUnavailableError: it cannot be compiled here.
        """
        ...


@runtime_checkable
class KeepingBackend(Backend, Protocol):
    """A backend whose compiled networks can be kept in files."""

    def identity(self) -> Facts:
        """What its files depend on beside the network and the precision: versions, and the device where it matters."""
        ...

    def save(self, network: nn.Module, spec: CompileSpec, folder: Path) -> None:
        """Compile `network` into files in `folder`.

        Raises:
            BackendUnavailableError: it cannot be compiled here.
        """
        ...

    def load(self, folder: Path, spec: CompileSpec) -> Compiled:
        """What `save` has put into `folder` with the same inputs and precision.

        Raises:
            BackendUnavailableError: it cannot be loaded here.
        """
        ...
