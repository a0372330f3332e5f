"""What a backend is: something that turns a `torch.nn.Module` into a `Runner`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

Precision = Literal["float32", "bfloat16"]


class BackendUnavailableError(Exception):
    """This backend cannot run on this machine, or not in this precision; the message says why."""


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """What to compile for.

    Attributes:
        batch: rows of a typical batch; a compiled network takes any number.
        height, width: of the input, pixels.
        precision: in which the layers compute; inputs are uint8 and outputs float32 whatever it is.
        threads: how many processor threads one call may use.
    """

    batch: int
    height: int
    width: int
    precision: Precision
    threads: int


class Compiled(Protocol):
    """A `Runner` that knows how it was made."""

    backend: str
    precision: Precision
    device: str

    def __call__(self, pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.float32], ...]: ...


class Backend(Protocol):
    """One way to run a network.

    `network` maps uint8 [B, H, W, 3] pixels to a tuple of tensors with B rows (see `FromPixels`); a backend needs to
    know nothing else of it.
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
