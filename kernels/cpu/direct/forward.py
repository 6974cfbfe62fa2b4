"""The forward pass: `y = A w`, with patches read in place."""

import math

import numpy as np

from ...geometry import Window
from ...types import Array
from ..engine.arrays import address, pixel_step
from ..engine.gemm import pack_filter
from ..engine.launch import kernel, task_range
from ..engine.memory import empty
from ..engine.records import PLAIN, Epilogue, Rows, epilogue_of
from ..engine.rows import even_block, span
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    ROWS,
    Address,
)
from ..engine.threads import threads_for
from .padding import padded
from .patches import (
    PatchGrid,
    PatchLayout,
    Runs,
    forward_layout,
    new_floats,
    panel_epilogue,
    patch_addresses,
    patches_times,
    prefetch_pixels,
    prefetch_tile,
    tap_offsets,
)

BLOCK = 96  # pixels whose patches are multiplied by all panels of the filters in turn


@kernel
def patch_products(
    task: int,
    tasks: int,
    grid: PatchGrid,
    runs: Runs,
    b: Address,
    y: Rows,
    epilogue: Epilogue,
    scratch: Address,
    block: int,
) -> None:
    """y[m, :] = patch m times b, for all pixels m: `(M, depth) (depth, K)`, with an epilogue.

    Tasks share the pixels. The patches of a block stay in the cache while one panel of b after the
    other is multiplied by them. The next block is fetched meanwhile, a share with each tile.
    """
    first, last = span(y.rows, task, tasks, ROWS)
    table = scratch + 8 * 2 * task * block
    following = table + 8 * block  # of the block behind
    new, floats = new_floats(runs.data, runs.number - 1, grid)
    tiles = ((block + ROWS - 1) // ROWS) * ((y.columns + COLUMNS - 1) // COLUMNS)
    patch_addresses(grid, first, min(block, last - first), table)
    for m in range(first, last, block):
        count, ahead, tile = min(block, last - m), min(block, last - m - block), 0
        patch_addresses(grid, m + block, ahead, following)
        for j in range(0, y.columns, COLUMNS):
            panel, n = b + FLOAT * j * runs.depth, y.columns - j
            panel_end = panel_epilogue(epilogue, j)
            for r in range(0, count, ROWS):
                to = Rows(y.data + FLOAT * ((m + r) * y.step + j), y.step, count - r, n)
                prefetch_tile(to)
                share, tile = task_range(ahead, tile, tiles), tile + 1
                prefetch_pixels(following, *share, new, floats)
                patches_times(table + 8 * r, runs, panel, to, panel_end)
        table, following = following, table


def products(
    grid: PatchGrid,
    layout: PatchLayout,
    packed: Array,
    y: Rows,
    epilogue: Epilogue = PLAIN,
    run: kernel = patch_products,
) -> None:
    """y = the patches times the packed filters."""
    tasks = threads_for(flops=2 * y.rows * layout.depth * y.columns)
    block = even_block(y.rows, tasks, BLOCK)
    scratch = empty(2 * tasks * block, np.int64)
    runs = Runs(address(layout.runs), len(layout.runs), layout.depth)
    run(tasks, grid, runs, address(packed), y, epilogue, address(scratch), block)


def conv2d(
    x: Array,
    w: Array,
    scale: Array | None,
    b: Array | None,
    geometry: Window,
    groups: int,
    bounds: int,
    y: Array,
    run: kernel = patch_products,
) -> None:
    """y = f(scale * (x conv w) + b); y is contiguous or a slice of channels."""
    (x, step), y_step = padded(x, geometry.padding), pixel_step(y)
    channels, filters = w.shape[2], w.shape[3] // groups
    image = x.shape[1], x.shape[2]
    layout = forward_layout(geometry.kernel, geometry.dilation, channels, step, x.shape[2])
    for g in range(groups):
        packed = pack_filter(w, tap_offsets(w.shape, g * filters), channels, w.shape[3], 1, filters)
        source, offset = address(x) + FLOAT * g * channels, FLOAT * g * filters
        grid = PatchGrid(source, step, *image, *geometry.stride, *geometry.output)
        rows = Rows(address(y) + offset, y_step, math.prod(y.shape[:3]), filters)
        products(grid, layout, packed, rows, epilogue_of(scale, b, bounds, offset), run)
