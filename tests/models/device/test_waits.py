"""The spy of the other tests: what it does not notice, they cannot guard."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.models.device.running import Waits

ONE = torch.tensor([1, 0, 2])


@pytest.mark.parametrize(
    "wait",
    [
        lambda: ONE.sum().item(),
        lambda: bool(ONE.any()),
        lambda: ONE.nonzero(),
        lambda: ONE[ONE > 0],
        lambda: torch.where(ONE > 0),
        lambda: ONE.masked_select(ONE > 0),
        lambda: torch.equal(ONE, ONE),
        lambda: ONE.unique(),
        lambda: ONE.repeat_interleave(ONE),
    ],
)
def test_the_host_waits_unnoticed(wait: Callable[[], object]) -> None:
    with Waits() as waits:
        wait()
    assert waits.noted


def test_what_stays_on_the_device_is_taken_for_waiting() -> None:
    def stays(of: Tensor) -> Tensor:
        return of.repeat_interleave(of, output_size=3)[of.clamp(max=1)].cumsum(0).where(of > 0, 0)

    with Waits() as waits:
        stays(ONE)
    assert waits.noted == []
