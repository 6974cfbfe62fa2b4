"""fused epilogue: bias and ReLU while the sums are in registers, db while dy is in the cache.

    y = max(A w + b, 0)        dw = A^T dy, db = 1^T dy        in one pass each

Not a multiplication less than in rung 6. But there y is written by the tiles, read and written to
add b, and read and written again for the maximum: five trips of M K floats between core and
memory. Here it is one. db reads each panel of dy right after the tiles that have brought it into
the nearest cache.

The gain grows the fewer multiply-adds there are per result: little for 3x3 and 128 channels
(1152 per result), much for 1x1 and few channels.
"""

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import inline, kernel, task_range, threads
from ..cpu.engine.memory import empty
from ..cpu.engine.simd import COLUMNS, LANES, ROWS, VECTORS, load, load_part, store_part, tile_store
from ..types import Array
from .finish import padded
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
from .rung06_threads import grad_input

__all__ = ["forward", "grad_input", "grad_weight"]


@kernel
def _convolve(
    task: int, tasks: int, patches: Patches, w: int, bias: int, y: int, filters: int
) -> None:
    """y = max(A w + bias, 0); only the last line differs from rung 6."""
    first, last = task_range((patches.count + ROWS - 1) // ROWS, task, tasks)
    for k in range(0, filters, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        for m in range(first * ROWS, last * ROWS, ROWS):
            tile = patch_tile(patches.starts + ADDRESS * m, patches, panel)
            to, rows = y + FLOAT * (m * filters + k), patches.count - m
            tile_store(tile, VECTORS, to, filters, rows, filters - k, 0, 0, bias + FLOAT * k, 1)


@inline
def _add_rows(panel: int, rows: int, columns: int, sums: int) -> None:
    """sums[:columns] += the sum of the rows of a panel."""
    for j in range(0, min(columns, COLUMNS), LANES):
        total = load_part(sums, j, columns - j)
        for m in range(rows):
            total = total + load(panel, m * COLUMNS + j)
        store_part(sums, j, total, columns - j)


@kernel
def _grad_weight(
    task: int, tasks: int, patches: Patches, dy: int, dw: int, db: int, filters: int
) -> None:
    """dw = A^T dy, and with the first tile of each panel db; otherwise as in rung 6."""
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
            if i == 0 and r == 0:
                _add_rows(panel, count, filters - k, db + FLOAT * k)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    patches = patches_of(x, size, starts)
    _convolve(threads(), patches, address(packed), address(b), address(y), w.shape[3])
    return y


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, filters = padded(x, pad), dy.shape[3]
    dw, db = empty((size, size, x.shape[3], filters)), empty(filters)
    db[:] = 0
    packed, starts = panels(dy.reshape(-1, filters)), patch_starts(x, size)
    patches = patches_of(x, size, starts)
    _grad_weight(threads(), patches, address(packed), address(dw), address(db), filters)
    return dw, db
