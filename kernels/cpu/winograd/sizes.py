"""The sizes of Winograd's algorithm: results, kernel, and the tile of the input that they need."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

from ...geometry import Pair


class Sizes(NamedTuple):
    """The sizes of F(m x n, r x s), rows first: `results` (m, n) and `kernel` (r, s).

    F(1, 1) is the identity: a kernel of one row or one column transforms only the other axis.
    """

    results: Pair
    kernel: Pair

    @classmethod
    def of(cls, m: int, kernel: Pair) -> Self:
        """F(m x m, r x s), with 1 instead of m along an axis along which the kernel has 1."""
        r, s = kernel
        return cls((m if r > 1 else 1, m if s > 1 else 1), (r, s))

    @property
    def tile(self) -> Pair:
        """(m + r - 1, n + s - 1): the pixels on which the results depend."""
        (m, n), (r, s) = self
        return m + r - 1, n + s - 1

    @property
    def positions(self) -> int:
        """The numbers of a tile."""
        return math.prod(self.tile)

    @property
    def exchanged(self) -> Self:
        """F(r x s, m x n), that of the weight gradient."""
        return type(self)(self.kernel, self.results)

    def tiles(self, image: Sequence[int]) -> Pair:
        """The rows and columns of tiles whose results cover an image (H, W)."""
        (m, n), (height, width) = self.results, image
        return -(-height // m), -(-width // n)


def accurate(kernel: Pair) -> tuple[int, ...]:
    """Each m for which the relative error of F(m x m, kernel) is about 5e-6 or less."""
    if 1 in kernel:
        return (2, 4) if max(kernel) in (3, 5, 7) else ()
    return {(3, 3): (2, 4), (5, 5): (2,)}.get(kernel, ())
