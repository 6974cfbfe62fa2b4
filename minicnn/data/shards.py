"""How the images of an epoch are divided: into updates, and each update into shards."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..checks import checked_whole


@dataclass(frozen=True)
class Shards:
    """The division of the images into updates of the weights, and of each update into shards.

    images: of one update; the last one of an epoch may have fewer. count: the shards of an update.
    rank, ranks: shard s is computed by the process with rank `s % ranks`.

    Shard s of an update of L images has its rows `ceil(L s / count)` to `ceil(L (s + 1) / count)`:
    the sizes differ by at most one, and only an update of fewer images than shards leaves some
    shards empty. So the shards, and all that is computed from them, do not depend on `ranks`.
    """

    images: int
    count: int = 1
    rank: int = 0
    ranks: int = 1

    @classmethod
    def of(cls, batch_size: int, accumulate: int, rank: int = 0, ranks: int = 1) -> "Shards":
        """Those of updates of `accumulate` batches: a shard per batch, or per process if more.

        Raises ValueError unless `accumulate` is an integer >= 1.
        """
        accumulate = checked_whole("accumulate", accumulate)
        return cls(batch_size * accumulate, max(accumulate, ranks), rank, ranks)

    @property
    def size(self) -> int:
        """The images of the largest shard."""
        return math.ceil(self.images / self.count)

    @property
    def least(self) -> int:
        """The images of the smallest shard of a whole update."""
        return self.images // self.count

    @property
    def turns_per_update(self) -> int:
        """In each turn every process computes a shard, if one is left."""
        return math.ceil(self.count / self.ranks)

    def updates(self, images: int) -> int:
        """The number of updates in an epoch of so many images."""
        return math.ceil(images / self.images)

    def rows(self, shard: int, images: int) -> tuple[int, int]:
        """The first row of a shard and the one after its last, in an epoch of so many images.

        shard: counted from the begin of the epoch.
        """
        update, s = divmod(shard, self.count)
        first = update * self.images
        length = min(self.images, images - first)
        start, end = (-(-length * i // self.count) for i in (s, s + 1))
        return first + start, first + end

    def sizes(self, images: int) -> set[int]:
        """The numbers of images that shards have, in an epoch of so many images."""
        last = images % self.images
        lengths = [self.images] * (images >= self.images) + [last] * (last > 0)
        return {size for n in lengths for size in (n // self.count, math.ceil(n / self.count))}

    def turns(self, start: int, images: int) -> "Iterator[Turn]":
        """The turns of an epoch of so many images, from the shard `start` on."""
        end = self.updates(images) * self.count
        while start < end:
            update = start // self.count
            after = min(start + self.ranks, (update + 1) * self.count)
            rows = [self.rows(shard, images) for shard in range(start, after)]
            yield Turn(start, after, update * self.images, tuple(rows))
            start = after


@dataclass(frozen=True)
class Turn:
    """What the processes compute at the same time: one shard each, or none if no more are left.

    start: the first of these shards. after: the position after them. first: the first row of their
    update. rows: the rows of each process's shard, up to the last process that has one.
    """

    start: int
    after: int
    first: int
    rows: tuple[tuple[int, int], ...]

    def own(self, rank: int) -> tuple[int, int]:
        """The rows of a process's shard, which may be empty."""
        return self.rows[rank] if rank < len(self.rows) else (self.first, self.first)

    @property
    def sizes(self) -> list[int]:
        """The numbers of images, by rank."""
        return [last - first for first, last in self.rows]


class EveryOther(Shards):
    """Whole batches in turn: batch i is that of the process with rank `i % ranks`.

    For evaluation, where each batch is a result of its own.
    """

    def turns(self, start: int, images: int) -> Iterator[Turn]:
        for batch in range(start + self.rank, self.updates(images), self.ranks):
            rows = self.rows(batch, images)
            none = (rows[0], rows[0])
            yield Turn(batch, batch + 1, rows[0], (none,) * self.rank + (rows,))
