"""Buckets: parameters whose gradients are summed together, in the order of the shards.

MPI's reductions add in an order that the library chooses. Here each rank gets one part of every
rank's gradients (an all-to-all), adds them in the order of the ranks, and then all gather the sums:

    exchange  rank r receives part r of g_0, g_1, ..., g_(n-1)     (n - 1) / n of the bytes
    add       part r of  ((g_0 + g_1) + ...) + g_(n-1)
    gather    all parts of the sum                                 (n - 1) / n of the bytes

These are the bytes of a ring all-reduce. With more shards than ranks the exchange is repeated, and
the sum goes on from the left.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.reference.arrays import array_module
from ..kernels.types import Array
from .team import Ranks

SIZE = 4 << 20  # the most bytes of a bucket, of a network with many
PARTS = 8  # the buckets of a smaller network: backward hides all but the last
LEAST = 64 << 10  # the least bytes of a message, so that its latency is small beside it


class Bucket:
    """Arrays of one type whose weighted sums are computed together.

    sizes: the number of elements of each.
    """

    def __init__(self, team: Ranks, sizes: Sequence[int], dtype: np.dtype):
        self.team, self.dtype = team, dtype
        self.ends = np.cumsum([0, *sizes])
        part = -(-int(self.ends[-1]) // team.size)
        self._send, self._received = (self._zeros(team.size, part) for _ in range(2))
        self._sum = self._zeros(part)
        self._exchange: Any = None
        self._gather: Any = None
        self._ranks: Sequence[int] = ()
        self._scale: float | None = None
        self._is_summed = False  # and to be gathered
        self._is_new = True
        self.filled: set[int] = set()

    @property
    def is_full(self) -> bool:
        """True if all arrays of this turn have been put."""
        return len(self.filled) == len(self.ends) - 1

    def _zeros(self, *shape: int) -> Array:
        return np.zeros(shape, self.dtype)

    def put(self, i: int, array: Array | None, weight: float) -> None:
        """The i-th array of this process's shard, with its weight; None is zeros."""
        place = self._send.reshape(-1)[self.ends[i] : self.ends[i + 1]]
        if array is None:
            place[...] = 0
        else:
            multiply = array_module(place).multiply
            multiply(array.reshape(-1), self.dtype.type(weight), out=place)
        self.filled.add(i)

    def start(self, ranks: Sequence[int], scale: float | None) -> None:
        """Begin to add the arrays of these ranks. With `scale`, gather the sum, times that."""
        self._ranks, self._scale = ranks, scale
        self._exchange = self.team.start_exchange(self._send, self._received)

    def progress(self, may_gather: bool) -> bool:
        """Go on with what is under way. Returns True if the next bucket may gather.

        All ranks must gather the buckets in the same order, whichever is exchanged first.
        """
        if self._exchange is not None and self._exchange.Test():
            self._add()
        if self._is_summed and may_gather:
            self._start_gather()
        if self._gather is not None and self._gather.Test():
            self._gather = None
        return self._exchange is None and not self._is_summed

    def add_up(self) -> None:
        """Finish the exchange and the sum, and begin to gather: bucket by bucket."""
        if self._exchange is not None:
            self._exchange.Wait()
            self._add()
        if self._is_summed:
            self._start_gather()

    def wait(self) -> None:
        """Finish gathering."""
        if self._gather is not None:
            self._gather.Wait()
            self._gather = None

    def _add(self) -> None:
        for rank in self._ranks:
            if self._is_new:
                self._sum[...] = self._received[rank]
            else:
                self._sum += self._received[rank]
            self._is_new = False
        self._exchange, self._is_summed = None, self._scale is not None
        self.filled.clear()

    def _start_gather(self) -> None:
        self._finish_sum()
        self._gather = self.team.start_gather(self._sum, self._received)

    def _finish_sum(self) -> None:
        self._sum *= self.dtype.type(self._scale)
        self._is_summed, self._is_new = False, True

    def result(self, i: int) -> Array:
        """The i-th sum, `(n,)`: valid until the next exchange."""
        return self._received.reshape(-1)[self.ends[i] : self.ends[i + 1]]


def bucket_size(total: int, ranks: int) -> int:
    """The bytes of a bucket, of which each rank sends a part to every other one.

    total: the bytes of all gradients.
    """
    return max(min(SIZE, total // PARTS), ranks * LEAST)


def divided(sizes: Sequence[int], most: int) -> list[list[int]]:
    """Positions in groups of neighbors with at most `most` bytes together, or one each."""
    groups: list[list[int]] = []
    total = 0
    for i, size in enumerate(sizes):
        if not groups or total + size > most:
            groups.append([])
            total = 0
        groups[-1].append(i)
        total += size
    return groups
