from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.layers import ConvModule, SPPBottleneck, fuse
from tests.models.graphs import scrambled

NORM = partial(nn.BatchNorm2d, eps=1e-3)


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (5, 1, 8), (6, 2, 1)])
def test_a_folded_convolution_computes_the_same(kernel: int, stride: int, groups: int) -> None:
    torch.manual_seed(0)
    layer = scrambled(ConvModule(8, 16, kernel, NORM, stride=stride, groups=groups))
    x = torch.randn(2, 8, 12, 20)
    with torch.inference_mode():
        before = layer(x)
        after = fuse(layer)(x)
    assert before.shape == (2, 16, 12 // stride, 20 // stride)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def test_pooling_in_a_chain_is_pooling_over_5_9_and_13_pixels() -> None:
    torch.manual_seed(0)
    layer = scrambled(SPPBottleneck(8, 8, NORM))
    x = torch.randn(1, 8, 20, 9)
    with torch.inference_mode():
        hidden = layer.conv1(x)
        pooled = [F.max_pool2d(hidden, k, stride=1, padding=k // 2) for k in (5, 9, 13)]
        expected = layer.conv2(torch.cat([hidden, *pooled], dim=1))
        torch.testing.assert_close(layer(x), expected, rtol=0, atol=0)
