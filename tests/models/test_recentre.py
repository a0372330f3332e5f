"""What cancels in a sum is taken out of it before rounding, and the sum stays what it was."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from models.layers import DepthwiseSeparableConvModule, fuse
from models.recentre import Recentred, recentre


def cancelling() -> nn.Sequential:
    """A separable convolution whose inputs are nearly constant, and whose constant parts cancel in its output."""
    torch.manual_seed(0)
    block = DepthwiseSeparableConvModule(16, 8, 3, partial(nn.BatchNorm2d, eps=1e-5))
    network = nn.Sequential(fuse(block)).eval()
    with torch.no_grad():
        block.depthwise_conv.conv.weight.mul_(0.1)
        block.depthwise_conv.conv.bias.fill_(4.0)
        weight = block.pointwise_conv.conv.weight
        weight.sub_(weight.mean(dim=1, keepdim=True)).mul_(5)
        block.pointwise_conv.conv.bias.zero_()
    return network


def pictures() -> Tensor:
    return torch.randn(2, 16, 12, 12, generator=torch.Generator().manual_seed(1))


def test_the_function_changes_with_the_centre() -> None:
    expected = cancelling()(pictures())
    other = torch.randn(2, 16, 12, 12, generator=torch.Generator().manual_seed(2)) * 3
    for images in (pictures(), other, torch.zeros(1, 16, 4, 4)):
        moved = recentre(cancelling(), images)
        assert any(isinstance(part, Recentred) for part in moved.modules())
        torch.testing.assert_close(moved(pictures()), expected, atol=1e-4, rtol=1e-4)


def test_what_cancels_is_left_to_rounding() -> None:
    expected = cancelling()(pictures())

    def error(network: nn.Sequential) -> float:
        # As a compiler does it: the depthwise layer and the subtraction in float32, then rounded to bfloat16.
        block = network[0]
        filtered = block.depthwise_conv(pictures())
        conv = block.pointwise_conv.conv
        if isinstance(conv, Recentred):
            filtered, conv = filtered - conv.centre, conv.conv
        rounded = nn.functional.conv2d(filtered.bfloat16().float(), conv.weight.bfloat16().float(), conv.bias)
        return float((nn.functional.silu(rounded) - expected).norm() / expected.norm())

    assert error(recentre(cancelling(), pictures())) < error(cancelling()) / 5


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 2, 1)),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.SiLU(), nn.Conv2d(4, 2, 3, padding=1)),
        nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 1), nn.SiLU(), nn.Conv2d(4, 2, 1)),
    ],
    ids=["after a dense one", "of three pixels", "after another pointwise one"],
)
def test_a_convolution_that_cannot_gain_is_recentred(network: nn.Sequential) -> None:
    recentre(network.eval(), torch.randn(1, 4, 8, 8))
    assert not isinstance(network[-1], Recentred)


def test_the_centre_is_rounded_by_a_network_in_bfloat16() -> None:
    moved = recentre(cancelling(), pictures())
    (centre,) = [part.centre for part in moved.modules() if isinstance(part, Recentred)]
    assert (centre.bfloat16().float() == centre).all()
