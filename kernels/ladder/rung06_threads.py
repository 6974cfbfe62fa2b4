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
from ..cpu.engine.launch import kernel, task_range
from ..cpu.engine.memory import empty
from ..cpu.engine.records import PLAIN, Epilogue, Rows
from ..cpu.engine.simd import COLUMNS, FLOAT, ROWS, VECTORS, Address, tile_store
from ..cpu.engine.threads import threads
from ..types import Array
from .finish import bias_and_relu, bias_gradient, padded, turned
from .rung05_tile import (
    ADDRESS_SIZE,
    BLOCK,
    Patches,
    panels,
    patch_starts,
    patch_tile,
    patches_of,
    rows_of,
    weight_tile,
)


@kernel
def _convolve(task: int, tasks: int, patches: Patches, w: Address, y: Rows) -> None:
    """y = A w; tasks share the tiles of pixels."""
    first, last = task_range((patches.pixels + ROWS - 1) // ROWS, task, tasks)
    for k in range(0, y.columns, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        for m in range(first * ROWS, last * ROWS, ROWS):
            tile = patch_tile(patches.starts + ADDRESS_SIZE * m, patches, panel)
            to = y.data + FLOAT * (m * y.step + k)
            tile_store(tile, VECTORS, Rows(to, y.step, y.rows - m, y.columns - k), PLAIN)


@kernel
def _grad_weight(task: int, tasks: int, patches: Patches, dy: Address, dw: Rows) -> None:
    """dw = A^T dy; tasks share the tiles of dw: `parts` in each of the `rows` rows of a panel."""
    parts = (patches.run + ROWS - 1) // ROWS
    tiles = (dw.columns + COLUMNS - 1) // COLUMNS * patches.rows * parts
    first, last = task_range(tiles, task, tasks)
    for m in range(0, patches.pixels, BLOCK):
        count, starts = min(BLOCK, patches.pixels - m), patches.starts + ADDRESS_SIZE * m
        for t in range(first, last):
            k = t // (patches.rows * parts) * COLUMNS
            i, r = t // parts % patches.rows, t % parts * ROWS
            panel = dy + FLOAT * (k * patches.pixels + m * COLUMNS)
            tile = weight_tile(starts, i * patches.line + r, count, panel)
            to = dw.data + FLOAT * ((i * patches.run + r) * dw.step + k)
            rows = Rows(to, dw.step, patches.run - r, dw.columns - k)
            tile_store(tile, VECTORS, rows, Epilogue(m, 0, 0, 0))


def _apply(x: Array, w: Array, pad: int) -> Array:
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    _convolve(threads(), patches_of(x, size, starts), address(packed), rows_of(y))
    return y


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    return bias_and_relu(_apply(x, w, pad), b)


def grad_input(dy: Array, w: Array, pad: int) -> Array:
    """See `ladder`."""
    return _apply(dy, turned(w), len(w) - 1 - pad)


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, dw = padded(x, pad), empty((size, size, x.shape[3], dy.shape[3]))
    packed, starts = panels(dy.reshape(-1, dy.shape[3])), patch_starts(x, size)
    _grad_weight(threads(), patches_of(x, size, starts), address(packed), rows_of(dw))
    return dw, bias_gradient(dy)
