"""A network in half precision, but for the parts of it that need all of float32."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from models.backends.base import Precision

KEEP = "keep_float32"
"""Attribute of a module that names those of its children that stay in float32, as a tuple of strings."""


class Lowered(nn.Module):
    """A copy of `network` whose layers compute in `precision`; its inputs are as before and its outputs float32.

    Args:
        network: stays as it is.
        precision: of the layers that are not kept in float32.
    """

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        super().__init__()
        dtype = getattr(torch, precision)
        network = copy.deepcopy(network).eval().requires_grad_(False)
        kept = [
            (parent, name, copy.deepcopy(getattr(parent, name)))
            for parent in network.modules()
            for name in getattr(parent, KEEP, ())
        ]
        network.to(dtype)
        if dtype != torch.float32:
            for parent, name, child in kept:
                setattr(parent, name, _InFloat32(child))
        self.network = network
        self.dtype: torch.dtype = dtype

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """As `network`'s."""
        outputs = self.network(*(of.to(self.dtype) if of.is_floating_point() else of for of in inputs))
        return tuple(of.float() for of in (outputs if isinstance(outputs, tuple) else (outputs,)))


class _InFloat32(nn.Module):
    """A layer that computes in float32 between layers that do not; what is float comes out as it went in."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, first: Tensor, *others: Any) -> Tensor:
        """As the layer's, whose first argument is what flows through it."""
        given = (of.float() if isinstance(of, Tensor) and of.is_floating_point() else of for of in (first, *others))
        out: Tensor = self.layer(*given)
        return out.to(first.dtype) if first.is_floating_point() else out
