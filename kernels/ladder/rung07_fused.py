"""fused epilogue: bias and ReLU while the sums are in registers, db while dy is in the cache.

    y = max(A w + b, 0)        dw = A^T dy, db = 1^T dy        in one pass each

Not a multiplication less than in rung 6. But there y is written by the tiles, read and written to
add b, and read and written again for the maximum: five trips of M K floats between core and
memory. Here it is one. db reads each panel of dy right after the tiles that have brought it into
the nearest cache.

The gain grows the fewer multiply-adds there are per result: little for 3x3 and 128 channels
(1152 per result), much for 1x1 and few channels.
"""

import numpy as np

from ..cpu.engine.arrays import address
from ..cpu.engine.launch import inline, kernel, task_range
from ..cpu.engine.memory import empty
from ..cpu.engine.records import Epilogue, Rows
from ..cpu.engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    VECTORS,
    Address,
    load,
    load_part,
    store_part,
    tile_store,
)
from ..cpu.engine.threads import threads
from ..types import Array
from .finish import padded
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
from .rung06_threads import grad_input

__all__ = ["forward", "grad_input", "grad_weight"]


@kernel
def _convolve(task: int, tasks: int, patches: Patches, w: Address, bias: Address, y: Rows) -> None:
    """y = max(A w + bias, 0); only the epilogue differs from rung 6."""
    first, last = task_range((patches.pixels + ROWS - 1) // ROWS, task, tasks)
    for k in range(0, y.columns, COLUMNS):
        panel = w + FLOAT * k * patches.rows * patches.run
        epilogue = Epilogue(add=0, scale=0, bias=bias + FLOAT * k, bounds=1)
        for m in range(first * ROWS, last * ROWS, ROWS):
            tile = patch_tile(patches.starts + ADDRESS_SIZE * m, patches, panel)
            to = y.data + FLOAT * (m * y.step + k)
            tile_store(tile, VECTORS, Rows(to, y.step, y.rows - m, y.columns - k), epilogue)


@inline
def _add_rows(panel: Address, rows: int, columns: int, sums: Address) -> None:
    """sums[:columns] += the sum of the rows of a panel."""
    for j in range(0, min(columns, COLUMNS), LANES):
        total = load_part(sums, j, columns - j)
        for m in range(rows):
            total = total + load(panel, m * COLUMNS + j)
        store_part(sums, j, total, columns - j)


@kernel
def _grad_weight(
    task: int, tasks: int, patches: Patches, dy: Address, dw: Rows, db: Address
) -> None:
    """dw = A^T dy, and with the first tile of each panel db; otherwise as in rung 6."""
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
            if i == 0 and r == 0:
                _add_rows(panel, count, dw.columns - k, db + FLOAT * k)


def forward(x: Array, w: Array, b: Array, pad: int) -> Array:
    """See `ladder`."""
    x, size = padded(x, pad), len(w)
    y = empty((len(x), x.shape[1] - size + 1, x.shape[2] - size + 1, w.shape[3]))
    packed, starts = panels(w.reshape(-1, w.shape[3])), patch_starts(x, size)
    patches = patches_of(x, size, starts)
    _convolve(threads(), patches, address(packed), address(b), rows_of(y))
    return y


def grad_weight(dy: Array, x: Array, size: int, pad: int) -> tuple[Array, Array]:
    """See `ladder`."""
    x, dw = padded(x, pad), empty((size, size, x.shape[3], dy.shape[3]))
    db = np.zeros(dy.shape[3], np.float32)
    packed, starts = panels(dy.reshape(-1, dy.shape[3])), patch_starts(x, size)
    patches = patches_of(x, size, starts)
    _grad_weight(threads(), patches, address(packed), rows_of(dw), address(db))
    return dw, db
