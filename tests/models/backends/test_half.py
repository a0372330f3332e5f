"""In half precision a network stays itself, and the parts that need all of float32 get it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.backends import Precision
from models.backends.half import Lowered
from models.backends.pixels import FromPixels
from models.tasks import PixelFormat


class Spy(nn.Module):
    """Hands on what it gets, and keeps its type."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0 + 2**-12]))
        self.seen: list[torch.dtype] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.dtype)
        return x * self.weight


class Parts(nn.Module):
    keep_float32 = ("exact",)

    def __init__(self) -> None:
        super().__init__()
        self.exact = Spy()
        self.rounded = Spy()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.exact(x), self.rounded(x)


HALF = ["float16", "bfloat16"]


@pytest.mark.parametrize("precision", HALF)
def test_a_part_that_needs_float32_is_rounded(precision: Precision) -> None:
    lowered = Lowered(Parts(), precision)
    lowered(torch.ones(2, 1))
    parts = lowered.network
    assert isinstance(parts, Parts)
    inner = parts.exact.layer
    assert isinstance(inner, Spy) and inner.seen == [torch.float32]
    assert inner.weight.item() == 1 + 2**-12, "its weights went through half precision"
    assert parts.rounded.seen == [getattr(torch, precision)]


@pytest.mark.parametrize("precision", [*HALF, "float32"])
def test_outputs_are_not_float32_or_the_network_itself_is_changed(precision: Precision) -> None:
    network = Parts()
    outputs = Lowered(network, precision)(torch.ones(2, 1))
    assert [of.dtype for of in outputs] == [torch.float32, torch.float32]
    assert network.rounded.weight.dtype == torch.float32 and isinstance(network.exact, Spy)


def test_in_float32_something_is_rounded() -> None:
    exact, rounded = Lowered(Parts(), "float32")(torch.full((1, 1), 3.0))
    assert torch.equal(exact, rounded) and exact.item() == pytest.approx(3 * (1 + 2**-12), rel=1e-7)


@pytest.mark.parametrize("precision", HALF)
def test_pixels_are_normalised_in_half_precision(precision: Precision) -> None:
    wanted = PixelFormat(rgb=False, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
    lowered = Lowered(FromPixels(nn.Conv2d(3, 3, 1), wanted), precision)
    network = lowered.network
    assert isinstance(network, FromPixels)
    normalise = network.normalise.layer
    assert normalise.mean.dtype == torch.float32
    out = network.normalise(torch.full((1, 2, 2, 3), 200, dtype=torch.uint8))
    expected = (200 - torch.tensor(wanted.mean)) / torch.tensor(wanted.std)
    assert torch.allclose(out[0, :, 0, 0], expected, atol=1e-6)
