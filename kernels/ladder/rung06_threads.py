"""all cores: each core computes results of its own with the tile of rung 5.

Forward and input gradient: `tasks` cores share the pixels of `y = A w`. Weight gradient: they share
the tiles of dw, and each core goes over all pixels for its own. Every result is thus one sum on
one core. No core waits for another, nothing has to be added up afterwards, and the result is the
same, bit for bit, with any number of cores.

The cores read the same weights and pixels, and write different cache lines. Up to the limits of
the shared cache and of memory, T cores are T times as fast as one; what remains on one core (the
border, the packing, bias and ReLU) limits this in small convolutions (Amdahl's law).
"""

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import kernel, task_range, threads
from ..cpu.engine.memory import empty
from ..cpu.engine.simd import COLUMNS, ROWS, VECTORS, tile_store
from ..types import Array
from .finish import bias_and_relu, bias_gradient, padded, turned
from .rung05_tile import (
    ADDRESS,
    BLOCK,
    FLOAT,
    Patches,
    panels,
    patch_starts,
    patch_tile,
    patches_of,
    weight_tile,
)


@kernel
def _convolve(task: int, tasks: int, patches: Patches, w: int, y: int, filters: int) -> None:
    """y = A w; tasks share the tiles of pixels."""
    first, last = task_range((patches.count + ROWS - 1) // ROWS, task, tasks)
    for k in range(0, filters, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        for m in range(first * ROWS, last * ROWS, ROWS):
            tile = patch_tile(patches.starts + ADDRESS * m, patches, panel)
            to, rows = y + FLOAT * (m * filters + k), patches.count - m
            tile_store(tile, VECTORS, to, filters, rows, filters - k, 0, 0, 0, 0)


@kernel
def _grad_weight(task: int, tasks: int, patches: Patches, dy: int, dw: int, filters: int) -> None:
    """dw = A^T dy; tasks share the tiles of dw: `parts` in each of the `rows` rows of a panel."""
    parts = (patches.run + ROWS - 1) // ROWS
    tiles = (filters + COLUMNS - 1) // COLUMNS * patches.rows * parts
    first, last = task_range(tiles, task, tasks)
    for m in range(0, patches.count, BLOCK):
        count = min(BLOCK, patches.count - m)
        for t in range(first, last):
            k, i, r = t // (patches.rows * parts) * COLUMNS, t // parts % patches.rows, t % parts
            starts, at = patches.starts + ADDRESS * m, i * patches.line + r * ROWS
            panel = dy + FLOAT * (k * patches.count + m * COLUMNS)
            tile = weight_tile(starts, at, count, panel)
            to = dw + FLOAT * ((i * patches.run + r * ROWS) * filters + k)
            rows = patches.run - r * ROWS
            tile_store(tile, VECTORS, to, filters, rows, filters - k, m, 0, 0, 0)


def _apply(x: Array, w: Array, pad: int) -> Array:
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    _convolve(threads(), patches_of(x, size, starts), address(packed), address(y), w.shape[3])
    return y


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, filters = padded(x, pad), dy.shape[3]
    dw = empty((size, size, x.shape[3], filters))
    packed, starts = panels(dy.reshape(-1, filters)), patch_starts(x, size)
    _grad_weight(threads(), patches_of(x, size, starts), address(packed), address(dw), filters)
    return dw, bias_gradient(dy)
