"""How the images of an epoch are divided: into updates, and each update into shards."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


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

        Raises ValueError unless `accumulate` is a whole number of at least 1.
        """
        if not isinstance(accumulate, (int, np.integer)) or accumulate < 1:
            raise ValueError(f"accumulate={accumulate!r}: expected a whole number of at least 1")
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

    def first_image(self, shard: int, images: int) -> int:
        """The position of a shard's first image in its update."""
        return self.rows(shard, images)[0] - shard // self.count * self.images

    def sizes(self, images: int) -> set[int]:
        """The numbers of images that shards have, in an epoch of so many images."""
        last = images % self.images
        lengths = [self.images] * (images >= self.images) + [last] * (last > 0)
        return {size for n in lengths for size in (n // self.count, math.ceil(n / self.count))}

    def turns(self, start: int, images: int) -> Iterator[tuple[int | None, int]]:
        """This process's shards from position `start` on, each with the position after it.

        In each turn the processes compute one shard each; without a shard that is left, one has
        None.
        """
        position, end = start, self.updates(images) * self.count
        while position < end:
            update, s = divmod(position, self.count)
            mine, position = (
                position + self.rank,
                update * self.count + min(s + self.ranks, self.count),
            )
            yield mine if mine < (update + 1) * self.count else None, position
