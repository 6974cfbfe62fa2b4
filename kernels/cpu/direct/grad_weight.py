"""The weight gradient: `dw = A^T dy`, a sum over pixels.

A block of patches is copied into rows that stay in the second-level cache.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ...geometry import Window
from ...types import Array
from ..engine.arrays import address, pixels
from ..engine.gemm import multiply, pack
from ..engine.launch import inline, kernel, task_range
from ..engine.memory import empty
from ..engine.records import Rows, Strided
from ..engine.rows import even_block, span
from ..engine.simd import (
    COLUMNS,
    FLOAT,
    LANES,
    ROWS,
    Address,
    load,
    load_index,
    load_part,
    store_part,
    store_scalar,
)
from ..engine.simd.functions import constant
from ..engine.threads import threads_for
from .padding import padded
from .patches import (
    DEPTH,
    PatchGrid,
    forward_layout,
    gather_patches,
    new_floats,
    patch_addresses,
    prefetch_floats,
    prefetch_pixels,
)

WEIGHT_BLOCK = 160  # pixels whose patches are gathered at a time
SPLIT_SIZE = 1 << 19  # floats that all tasks' own copies of dw may take
PAD = 16  # floats between gathered rows: at powers of two they would share cache sets


class Parts(NamedTuple):
    """A PatchLayout's runs and parts."""

    runs: Address
    data: Address
    number: int
    longest: int


class Sums(NamedTuple):
    """`splits` gradients dw and db, `size` floats apart; `step` floats between rows of dw."""

    dw: Address
    step: int
    db: Address
    splits: int
    size: int


@kernel
def weight_products(
    task: int,
    tasks: int,
    grid: PatchGrid,
    parts: Parts,
    dy: Rows,
    sums: Sums,
    scratch: Address,
    block: int,
) -> None:
    """dw[k, :] = sum over pixels m of patch(m)[k] * dy[m, :], and db = the sums of dy.

    dw `(kH * kW * C, K)`, db `(K,)`. A unit of work is a part of the patch and one of `splits`
    ranges of pixels. Each range has its own dw and db, so that no two tasks add to the same sum.
    While the tiles of a block of pixels are multiplied, the next block is fetched, a share with
    each tile.
    """
    first, last = task_range(parts.number * sums.splits, task, tasks)
    step = parts.longest + PAD
    buffer = scratch + FLOAT * task * block * (step + COLUMNS + 2)
    panel = buffer + FLOAT * block * step
    table = panel + FLOAT * block * COLUMNS
    for unit in range(first, last):
        part, split = unit % parts.number, unit // parts.number
        m_first, m_last = task_range(dy.rows, split, sums.splits)
        run, at = load_index(parts.data, 2 * part), load_index(parts.data, 2 * part + 1)
        last_run, to = load_index(parts.data, 2 * part + 2), load_index(parts.data, 2 * part + 3)
        new, floats = new_floats(parts.runs, last_run - 1, grid)
        tiles = ((to - at + ROWS - 1) // ROWS) * ((dy.columns + COLUMNS - 1) // COLUMNS)
        target = sums.dw + FLOAT * (split * sums.size + at * sums.step)
        db = sums.db + FLOAT * split * sums.size
        for j in range(dy.columns if part == 0 else 0):
            store_scalar(db, j, 0.0)
        patch_addresses(grid, m_first, min(block, m_last - m_first), table)
        for m in range(m_first, m_last, block):
            count, ahead, tile = min(block, m_last - m), min(block, m_last - m - block), 0
            gather_patches(table, count, parts.runs, run, last_run, buffer, step)
            patch_addresses(grid, m + block, ahead, table)  # from here on of the next block
            for j in range(0, dy.columns, COLUMNS):
                n, deltas = min(COLUMNS, dy.columns - j), dy.data + FLOAT * (m * dy.step + j)
                pack(Strided(deltas, dy.step, 1), count, n, panel, count, 0)
                if part == 0:
                    add_rows(panel, count, n, db + FLOAT * j)
                for r in range(0, to - at, ROWS):
                    share, tile = task_range(ahead, tile, tiles), tile + 1
                    for i in range(m + block + share[0], m + block + share[1]):
                        prefetch_floats(dy.data, i * dy.step, dy.columns)
                    prefetch_pixels(table, *share, new, floats)
                    patches = Strided(buffer + FLOAT * r, 1, step)  # transposed
                    place = target + FLOAT * (r * sums.step + j)
                    result = Rows(place, sums.step, min(ROWS, to - at - r), n)
                    multiply(patches, panel, count, result, m > m_first, 0, False)


@inline
def add_rows(panels: Address, count: int, columns: int, sums: Address) -> None:
    """sums[j] += the sum of column j of packed panels.

    Even and odd rows are summed separately: two chains of additions overlap.
    """
    for j in range(0, columns, LANES):
        width = COLUMNS if columns - j // COLUMNS * COLUMNS > LANES else LANES
        column = panels + FLOAT * (j // COLUMNS * COLUMNS * count + j % COLUMNS)
        even, odd = constant(0.0), constant(0.0)
        for k in range(0, count - 1, 2):
            even = even + load(column, k * width)
            odd = odd + load(column, (k + 1) * width)
        if count % 2:
            even = even + load(column, (count - 1) * width)
        store_part(sums, j, load_part(sums, j, columns - j) + (even + odd), columns - j)


@kernel
def _add_splits(
    task: int, tasks: int, parts: Address, splits: int, size: int, total: Address, n: int
) -> None:
    """total[i] = sum of parts[split, i], in the order of the splits."""
    first, last = span(n, task, tasks)
    for i in range(first, last, LANES):
        sum = load_part(parts, i, n - i)
        for split in range(1, splits):
            sum = sum + load_part(parts, split * size + i, n - i)
        store_part(total, i, sum, n - i)


class WeightKernel(NamedTuple):
    """A kernel with the arguments of `weight_products`, and what it needs."""

    run: Callable[..., None]
    scratch: Callable[[int, int, int], int]  # floats per task for (block, longest, filters)
    block: int  # the most pixels whose patches are gathered at a time
    multiple: int  # blocks are a multiple of it in pixels, parts of a patch in floats


def _rounded_up(n: int, products: WeightKernel) -> int:
    return -(-n // products.multiple) * products.multiple


def _scratch(block: int, longest: int, filters: int) -> int:
    return block * (longest + PAD + COLUMNS + 2)


FLOATS = WeightKernel(weight_products, _scratch, WEIGHT_BLOCK, ROWS)


def conv2d_grad_weight(
    dy: Array,
    x: Array,
    geometry: Window,
    groups: int,
    dw: Array,
    db: Array,
    products: WeightKernel = FLOATS,
) -> None:
    """dw and db from dy and x; both are contiguous."""
    (x, step), (dy, dy_step) = padded(x, geometry.padding), pixels(dy)
    channels, filters = dw.shape[2], dw.shape[3] // groups
    depth, count = dw.shape[0] * dw.shape[1] * channels, math.prod(dy.shape[:3])
    tasks = threads_for(flops=2 * count * depth * filters)
    image = x.shape[1], x.shape[2]
    size = dw.size + dw.shape[3]
    # With a range of pixels per task, x and dy are read once. A large dw would then be written too
    # often: it is cut into parts instead.
    splits = min(tasks, -(-count // products.block)) if tasks * size <= SPLIT_SIZE else 1
    part = even_block(depth, tasks if splits == 1 else 1, DEPTH, products.multiple)
    layout = forward_layout(geometry.kernel, geometry.dilation, channels, step, x.shape[2], part)
    partial = empty(splits * size) if splits > 1 else None
    # The table of addresses is written in whole ROWS.
    block = _rounded_up(min(products.block, -(-count // splits)), products)
    longest = _rounded_up(layout.longest, products)
    scratch = empty(tasks * products.scratch(block, longest, filters) + LANES)
    parts = Parts(address(layout.runs), address(layout.parts), len(layout.parts) - 1, longest)
    to_dw, to_db = address(dw), address(db)
    if partial is not None:
        to_dw, to_db = address(partial), address(partial) + FLOAT * dw.size
    for g in range(groups):
        offset = FLOAT * g * filters
        grid = PatchGrid(
            address(x) + FLOAT * g * channels, step, *image, *geometry.stride, *geometry.output
        )
        rows = Rows(address(dy) + offset, dy_step, count, filters)
        sums = Sums(to_dw + offset, dw.shape[3], to_db + offset, splits, size)
        products.run(tasks, grid, parts, rows, sums, address(scratch), block)
    if partial is not None:
        add_tasks = threads_for(flops=2 * splits * size)
        _add_splits(add_tasks, address(partial), splits, size, address(dw), dw.size)
        _add_splits(1, address(partial) + FLOAT * dw.size, splits, size, address(db), db.size)
