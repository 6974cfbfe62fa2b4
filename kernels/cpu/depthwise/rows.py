"""What the kernels of a depthwise convolution share: rows of results."""

import functools
from typing import Any, NamedTuple

from ..engine.launch import inline
from ..engine.simd import REGISTERS, Address, prefetch_second

Tile = Any  # vectors in registers
# As a call, a function would pass the tile through memory.
always_inline = functools.partial(inline, always=True)


def fits_twice(cells: int) -> bool:
    """True if the registers hold two vectors of channels for all cells of a kernel."""
    return 2 * cells * cells < REGISTERS


class Line(NamedTuple):
    """A row of results.

    data: the image that it reads, `width` pixels of `channels` channels across, with `step` floats
    between them. row: the first of its entries in `Taps.row_pixels`. w: the weights; in the
    weight gradient the sums. length: the number of results. place: that of the first one in y.
    """

    data: Address
    width: int
    step: int
    channels: int
    row: int
    w: Address
    length: int
    place: int


@always_inline
def fetch_below(row: Address, below: int, step: int, b: int, down: int) -> None:
    """Fetch the pixels below the `down` ones from b on: the next row of results reads them.

    row: the last row that is read; the next is `below` floats behind it.
    """
    for i in range(1, down + 1):
        for e in range(down):
            prefetch_second(row, i * below + (b + e) * step)
