"""What both kernels of a depthwise convolution share: memory that is fetched ahead, and padding."""

import functools
from typing import Any

from ..engine.launch import inline
from ..engine.simd import FLOAT, LANES, Address, load_index, prefetch
from .taps import TILE, TapRecord

Tile = Any  # vectors in registers, one per result
# As a call, a function would pass the tile through memory.
always_inline = functools.partial(inline, always=True)

AHEAD = 1024  # floats from what is read to what is fetched from memory for a later tile
PAD = LANES  # floats between the weights of cells: at powers of two they would share cache sets


@always_inline
def fetch_ahead(
    data: Address, taps: TapRecord, first: int, last: int, tile: Address, step: int
) -> None:
    """Fetch the pixels that a later tile is the first to read: those of the last rows.

    data: the image, from the first channel of the vector on. first, last: the rows of the kernel.
    Without it the sums wait for memory: their rows are too short for the processor's own prefetch.
    """
    if load_index(tile, 4) == 0:
        return
    column = load_index(taps.column_cells, 2 * load_index(tile, 3) - 1) + AHEAD
    for i in range(max(first, last - taps.source_step), last):
        row = data + FLOAT * (load_index(taps.row_cells, 2 * i + 1) + column)
        for k in range(TILE * taps.source_step):
            prefetch(row, k * step)
