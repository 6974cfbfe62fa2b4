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
        self._send, self._received = (np.zeros((team.size, part), dtype) for _ in range(2))
        self._sum = np.empty(part, dtype)
        self._request: Any = None
        self._then: Any = None
        self._is_new = True
        self.filled: set[int] = set()

    @property
    def is_full(self) -> bool:
        """True if all arrays of this turn have been put."""
        return len(self.filled) == len(self.ends) - 1

    def put(self, i: int, array: np.ndarray | None, weight: float) -> None:
        """The i-th array of this process's shard, with its weight; None is zeros."""
        place = self._send.reshape(-1)[self.ends[i] : self.ends[i + 1]]
        if array is None:
            place[...] = 0
        else:
            np.multiply(array.reshape(-1), self.dtype.type(weight), out=place)
        self.filled.add(i)

    def start(self, ranks: Sequence[int], scale: float | None) -> None:
        """Begin to add the arrays of these ranks. With `scale`, gather the sum, times that."""
        self._request = self.team.start_exchange(self._send, self._received)
        self._then = lambda: self._add(ranks, scale)

    def progress(self) -> bool:
        """Go on with what is under way. Returns True if nothing is."""
        while self._request is not None and self._request.Test():
            self._go_on()
        return self._request is None

    def wait(self) -> None:
        """Finish what is under way."""
        while self._request is not None:
            self._request.Wait()
            self._go_on()

    def _go_on(self) -> None:
        then, self._request, self._then = self._then, None, None
        then()

    def _add(self, ranks: Sequence[int], scale: float | None) -> None:
        for rank in ranks:
            if self._is_new:
                np.copyto(self._sum, self._received[rank])
            else:
                self._sum += self._received[rank]
            self._is_new = False
        self.filled.clear()
        if scale is not None:
            self._sum *= self.dtype.type(scale)
            self._is_new = True
            self._request, self._then = (
                self.team.start_gather(self._sum, self._received),
                lambda: None,
            )

    def result(self, i: int) -> np.ndarray:
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
