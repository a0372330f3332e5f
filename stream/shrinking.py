"""Fewer images at a time where the memory of a GPU does not suffice for all, so that the run goes on."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

log = logging.getLogger(__name__)


class Shrinking:
    """A detector, pose estimator or segmenter that halves a batch which does not fit, and remembers how far.

    Results are the same: images go through it in pieces. Of one that does not fit even alone, the error is raised. A
    backend may split batches of its own accord before that; this is for all the rest that a task keeps on a GPU.

    Args:
        task: maps sequences that are parallel, of B images and what belongs to each, to a list of B results.
        name: it is called by in the log.
        told: called every time when a batch did not fit.

    Attributes:
        images: so many are tried at a time; None where everything has fitted so far.
    """

    def __init__(self, task: Callable[..., list[Any]], name: str, told: Callable[[], None] = lambda: None) -> None:
        self._task = task
        self._name = name
        self._told = told
        self.images: int | None = None

    @property
    def takes_device_images(self) -> bool:
        """Whether the task takes pictures that lie on a GPU."""
        return bool(getattr(self._task, "takes_device_images", False))

    def __call__(self, *parallel: Sequence[Any]) -> list[Any]:
        """What the task makes of these, for each image.

        Raises:
            torch.cuda.OutOfMemoryError: a single image does not fit.
        """
        count = len(parallel[0])
        results: list[Any] = []
        while len(results) < count or not results:
            done = len(results)
            size = count - done if self.images is None else min(count - done, self.images)
            piece = self._attempt([of[done : done + size] for of in parallel], last=size <= 1)
            if piece is None:
                self._shrink(size)
            elif not piece:
                break
            else:
                results += piece
        return results

    def _attempt(self, parallel: list[Sequence[Any]], *, last: bool) -> list[Any] | None:
        """The results, or None where there is no memory for them; of the `last` resort, the error."""
        try:
            return self._task(*parallel)
        except RuntimeError as error:
            if last or not _is_lack_of_memory(error):
                raise
            return None  # what the error still holds of the GPU is free when it is gone

    def _shrink(self, size: int) -> None:
        self.images = size // 2
        _release()
        self._told()
        log.warning(
            "%s: %d images at once do not fit into the memory of the GPU; from now on there are %d at most",
            self._name,
            size,
            self.images,
        )


def _is_lack_of_memory(error: RuntimeError) -> bool:
    torch = sys.modules.get("torch")  # who has not imported it cannot have raised it
    return torch is not None and isinstance(error, torch.cuda.OutOfMemoryError)


def _release() -> None:
    """Give back what PyTorch keeps for batches of other sizes."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
