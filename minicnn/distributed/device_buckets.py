"""Buckets on GPUs: NCCL exchanges and gathers, and the GPU adds, beside backward."""

from collections.abc import Sequence

import numpy as np

from ..device import runtime
from ..kernels.types import Array
from .buckets import Bucket
from .nccl import Nccl
from .team import Ranks


class DeviceBucket(Bucket):
    """As `Bucket`, and the bits are the same. All work is launched at once, aside.

    The host waits for nothing: `Nccl.join` lets the GPU wait.
    """

    def __init__(self, team: Ranks, sizes: Sequence[int], dtype: np.dtype, gpus: Nccl):
        self._gpus = gpus
        super().__init__(team, sizes, dtype)

    def _zeros(self, *shape: int) -> Array:
        return runtime().upload(np.zeros(shape, self.dtype))

    def put(self, i: int, array: Array | None, weight: float) -> None:
        with self._gpus.aside():
            super().put(i, array, weight)

    def start(self, ranks: Sequence[int], scale: float | None) -> None:
        self._ranks, self._scale = ranks, scale
        self.team.count_bucket(self._sum.nbytes, scale is not None)
        with self._gpus.aside():
            self._gpus.exchange(self._send, self._received)
            self._add()
            if self._is_summed:
                self._finish_sum()
                self._gpus.gather(self._sum, self._received)

    def progress(self, may_gather: bool) -> bool:
        return may_gather

    def add_up(self) -> None:
        pass

    def wait(self) -> None:
        pass
