"""Slots for pictures in memory that two processes share and that nobody has to clean up."""

from __future__ import annotations

import fcntl
import math
import mmap
import os

import numpy as np

from stream.types import Image


class Slab:
    """A row of equal slots in an anonymous file in memory (Linux `memfd`).

    It has no name, so the kernel frees it with the last process that maps it, however that ended; and it is not in
    /dev/shm, whose size containers restrict.

    Args:
        fd: the file, closed here once it is mapped.
        slots: how many slots there are; slot_bytes: how large each is.

    Raises:
        ValueError: the file is smaller than that.
    """

    def __init__(self, fd: int, slots: int, slot_bytes: int) -> None:
        self.slots, self.slot_bytes = slots, slot_bytes
        try:
            self._map = mmap.mmap(fd, slots * slot_bytes)
        finally:
            os.close(fd)

    @staticmethod
    def create(slots: int, slot_bytes: int) -> tuple[Slab, int]:
        """A slab, and a descriptor of it for another process; its size is sealed, so that no access can fail."""
        fd = os.memfd_create("peoplestream", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, slots * slot_bytes)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return Slab(os.dup(fd), slots, slot_bytes), fd

    def write(self, slot: int, image: Image) -> None:
        """Copy `image` into a slot."""
        self._view(slot, image.shape)[...] = image

    def read(self, slot: int, height: int, width: int) -> Image:
        """A copy of the image, uint8 [height, width, 3], in a slot.

        Raises:
            ValueError: there is no such slot, or the image does not fit into it.
        """
        return self._view(slot, (height, width, 3)).copy()

    def close(self) -> None:
        """Unmap it."""
        self._map.close()

    def _view(self, slot: int, shape: tuple[int, ...]) -> Image:
        count = math.prod(shape)
        if not 0 <= slot < self.slots or min(shape) < 1 or count > self.slot_bytes:
            raise ValueError(f"there is no room for an image of {shape} in slot {slot}")
        return np.frombuffer(self._map, np.uint8, count, slot * self.slot_bytes).reshape(shape)
