"""What a backend is: something that turns a `torch.nn.Module` into a `Runner`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

Precision = Literal["float32", "bfloat16"]


class BackendUnavailableError(Exception):
    """This backend cannot run on this machine, or not in this precision; the message says why."""


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
    `FromPixels` for one that takes pixels); a backend needs to know nothing else of it.
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
