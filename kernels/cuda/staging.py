"""Copies of batches from the host that overlap with the device's work."""

from itertools import cycle
from typing import Any

import numpy as np

from ..types import Array
from .device import runtime


class Staging:
    """Copies host arrays, one after the other, to an array on the device.

    The host copies the next batch into one of two page-locked buffers. A second stream copies it to
    one of two arrays on the device, also while kernels of the previous step run. The last copy,
    within the device's memory, takes its turn between the kernels. From ordinary memory the host
    would wait for the copy to the device, which would be made between the kernels.
    """

    def __init__(self, array: Array):
        self._array = array
        self._slots = cycle([_Slot(array), _Slot(array)])

    def put(self, host: np.ndarray) -> None:
        """Let the kernels that are launched from now on find `host` in the array."""
        run, slot = runtime(), next(self._slots)
        if slot.arrived is not None:
            slot.arrived.synchronize()  # the buffer's previous copy has been made
        slot.host[...] = host
        slot.arrived = run.copy_beside(slot.device, slot.host, slot.taken)
        run.wait(slot.arrived)
        run.overwrite(self._array, slot.device)
        slot.taken = run.event()


class _Slot:
    """A page-locked buffer and an array on the device, with the events that say they are free.

    arrived: the copy to the device has been made. taken: the array on the device has been read.
    """

    def __init__(self, array: Array):
        self.host = runtime().page_locked(array.shape, array.dtype)
        self.device = runtime().lasting(array.shape, array.dtype)
        self.arrived: Any = None
        self.taken: Any = None
